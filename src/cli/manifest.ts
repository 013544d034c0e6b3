import { stringify } from 'yaml'

/**
 * An object as YAML that kubectl reads as it was: it takes `yes`, `on`, `1_000` and `1:30` for something else than strings, as YAML 1.1
 * had it. Long values stay on one line, and nothing is written as an anchor and its alias.
 */
export function renderManifest(object: Readonly<Record<string, unknown>>): string {
  return stringify(object, { compat: 'yaml-1.1', lineWidth: 0, aliasDuplicateObjects: false })
}
