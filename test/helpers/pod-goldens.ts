/**
 * Pairs of Pods and what becomes of them: `test/fixtures/pods/CASE.yaml` holds a Pod, and its Namespace where labels matter;
 * `CASE.mutated.yaml` the Pod after the webhook, with what was decided as a comment. `# rules: NAME` in the case names the file of
 * `test/fixtures/rules`. The same pairs go through the core, the webhook and a real apiserver.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments, stringify } from 'yaml'
import { asRecord, asString } from '../../src/core/kubernetes/objects.ts'
import type { Mutation } from '../../src/core/pod/mutate.ts'
import type { NamespaceFacts, RuledEnvironment } from '../../src/core/policy/decide.ts'
import { compileDocuments, readRuleDocuments } from '../../src/core/selector/documents.ts'
import { labelsOf } from '../../src/core/selector/requirement.ts'
import { RuleSet } from '../../src/core/selector/rule-set.ts'
import { VnodeSet } from '../../src/core/vnode/vnode-set.ts'
import { makeNamespace } from './environments.ts'
import { linesOf } from './problems.ts'
import { makeSettings } from './selectors.ts'

const PODS = join(import.meta.dirname, '../fixtures/pods')
const RULES = join(import.meta.dirname, '../fixtures/rules')
const MUTATED = '.mutated.yaml'

export interface PodGolden {
  readonly name: string
  /** Path and text of the file of rules, as for `vnode webhook --rules`. */
  readonly rulesFile: string
  readonly rules: string
  readonly namespace: NamespaceFacts
  readonly pod: Record<string, unknown>
  /** The Pod after the webhook; the very same members as `pod` if it is left alone. */
  readonly expected: Record<string, unknown>
  /** The whole file that `expected` is read from. */
  readonly expectedText: string
}

export function readPodGoldens(): PodGolden[] {
  const names = caseNames()
  if (names.length === 0) throw new Error(`no Pods in ${PODS}`)
  return names.map(readGolden)
}

/** Expected results without a Pod, and rules that no Pod names: they look as if they held something. */
export function unusedPodGoldens(): string[] {
  const names = caseNames()
  const rules = new Set(names.map(name => rulesNameOf(readFileSync(join(PODS, `${name}.yaml`), 'utf8'))))
  return [
    ...readdirSync(PODS).filter(
      file => file.endsWith(MUTATED) && !names.includes(file.slice(0, -MUTATED.length)),
    ),
    ...readdirSync(RULES).filter(file => !rules.has(file.replace(/\.yaml$/, ''))),
  ]
}

/** With UPDATE_GOLDENS=1 writes what is, and removes what is unused. */
export const isUpdatingGoldens = process.env.UPDATE_GOLDENS !== undefined

export function writeExpected(name: string, text: string): void {
  writeFileSync(join(PODS, `${name}${MUTATED}`), text)
}

export function removeUnusedExpected(): void {
  for (const file of unusedPodGoldens()) if (file.endsWith(MUTATED)) rmSync(join(PODS, file))
}

/** What the `.mutated.yaml` of a case says when this is what came out. */
export function renderExpected({ decision, advice, result }: Mutation): string {
  const comments = [
    `${decision.outcome}: ${decision.reason}`,
    ...advice.map(({ code, message }) => `warning ${code}: ${message}`),
  ]
  return `${comments.map(line => `# ${line}\n`).join('')}${stringify(result, { lineWidth: 0 })}`
}

/** The environment that a webhook started with the case's rules decides in. */
export function environmentOf({ rules, rulesFile }: PodGolden): RuledEnvironment {
  const settings = makeSettings()
  const documents = readRuleDocuments(rules)
  const compiled = compileDocuments([documents], settings)
  if (compiled.problems.length > 0) throw new Error(`${rulesFile}: ${linesOf(compiled.problems).join('\n')}`)
  return { settings, rules: new RuleSet(compiled.rules), vnodes: new VnodeSet(documents.vnodes) }
}

function caseNames(): string[] {
  return readdirSync(PODS)
    .filter(file => file.endsWith('.yaml') && !file.endsWith(MUTATED))
    .map(file => file.replace(/\.yaml$/, ''))
}

function rulesNameOf(text: string): string {
  const name = /^# rules: (\S+)$/m.exec(text)?.[1]
  if (name === undefined) throw new Error('a case has no line "# rules: NAME"')
  return name
}

function readGolden(name: string): PodGolden {
  const text = readFileSync(join(PODS, `${name}.yaml`), 'utf8')
  const objects = parseAllDocuments(text).map(document => asRecord(document.toJS()) ?? {})
  const pod = objects.find(object => object.kind === 'Pod')
  if (pod === undefined) throw new Error(`${name}.yaml has no Pod`)
  const rulesFile = join(RULES, `${rulesNameOf(text)}.yaml`)
  const expectedFile = join(PODS, `${name}${MUTATED}`)
  const expectedText = existsSync(expectedFile) ? readFileSync(expectedFile, 'utf8') : '{}\n'
  return {
    name,
    rulesFile,
    rules: readFileSync(rulesFile, 'utf8'),
    namespace: namespaceOf(
      pod,
      objects.find(object => object.kind === 'Namespace'),
    ),
    pod,
    expected: asRecord(parseAllDocuments(expectedText)[0]?.toJS()) ?? {},
    expectedText,
  }
}

function namespaceOf(
  pod: Record<string, unknown>,
  namespace: Record<string, unknown> | undefined,
): NamespaceFacts {
  const name = asString(asRecord(pod.metadata)?.namespace) ?? 'default'
  const metadata = asRecord(namespace?.metadata)
  if (metadata !== undefined && metadata.name !== name)
    throw new Error(`the Namespace is not the Pod's, ${name}`)
  return makeNamespace(name, Object.fromEntries(labelsOf(metadata?.labels)))
}
