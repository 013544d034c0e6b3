/** What rules some documents hold: whether there are any, why there are none, and which ConfigMap counts where there are several. */
import { asRecord, asString } from '../kubernetes/objects.ts'
import { RULES_KEY, RULES_NAMESPACE } from '../names.ts'
import type { RuleDocuments, RulesText } from './documents.ts'

export function hasRules({ rulesTexts, selectors }: RuleDocuments): boolean {
  return rulesTexts.length + selectors.length > 0
}

/**
 * Completes "the file …" where documents that somebody takes for rules hold none: probably they are the wrong ones. Undefined where
 * they hold rules, or the Namespaces and VNodes that are given beside them, or where their own problems say it already.
 */
export function absenceOfRules(
  documents: readonly RuleDocuments[],
  configMapName: string,
): string | undefined {
  if (documents.some(one => hasRules(one) || isAboutCluster(one) || one.problems.length > 0)) return undefined
  const hint = documents.flatMap(one => hintsAbout(one, configMapName))[0] ?? ''
  return `holds no rules: no ConfigMap ${configMapName}, no Selector, no list of rules${hint}`
}

function isAboutCluster({ namespaces, vnodes }: RuleDocuments): boolean {
  return namespaces.length + vnodes.length > 0
}

function hintsAbout({ others }: RuleDocuments, configMapName: string): string[] {
  return others.flatMap(({ object }) => {
    const name = asString(asRecord(object.metadata)?.name)
    if (object.kind !== 'ConfigMap' || asRecord(object.data)?.[RULES_KEY] === undefined) return []
    return [
      `. The ConfigMap ${name} has rules, but is not named ${configMapName}; --rules-name says otherwise`,
    ]
  })
}

/**
 * Of several ConfigMaps the one that a cluster's programs read: that of the rules' namespace. Else the first that names no namespace,
 * as lists of rules do not, else the first of all.
 */
export function chosenRulesText(
  texts: readonly RulesText[],
  namespace: string = RULES_NAMESPACE,
): RulesText | undefined {
  return (
    texts.find(text => namespaceOfRules(text) === namespace) ??
    texts.find(text => namespaceOfRules(text) === undefined) ??
    texts[0]
  )
}

/** In a file, "" is as good as nothing. */
export function namespaceOfRules({ configMap }: RulesText): string | undefined {
  return asString(asRecord(configMap?.metadata)?.namespace) || undefined
}
