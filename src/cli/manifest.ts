import { Document, visit } from 'yaml'
import { plainLines } from './plain-text.ts'

/**
 * An object as YAML that kubectl reads as it was: it takes `yes`, `on`, `1_000` and `1:30` for something else than strings, as YAML 1.1
 * had it. Long values stay on one line, and nothing is written as an anchor and its alias. What a terminal would obey is escaped.
 */
export function renderManifest(object: Readonly<Record<string, unknown>>): string {
  const document = new Document(object, { compat: 'yaml-1.1', aliasDuplicateObjects: false })
  visit(document, {
    Scalar: (_, node) => {
      // Only there an escape means the character.
      if (typeof node.value === 'string' && plainLines(node.value) !== node.value) node.type = 'QUOTE_DOUBLE'
    },
  })
  return plainLines(document.toString({ lineWidth: 0 }))
}
