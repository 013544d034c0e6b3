/** `vnode explain` from its flags to what it prints. */
import { VnodeError } from '../../core/errors.ts'
import type { Labels } from '../../core/selector/requirement.ts'
import type { Settings } from '../../core/settings.ts'
import { readInputs, STDIN } from '../input.ts'
import { ExitStatus, type Io } from '../io.ts'
import { renderManifest } from '../manifest.ts'
import { PLAIN, painter } from '../paint.ts'
import { plainLines, plainText } from '../plain-text.ts'
import { counted, isError, renderFileProblem } from '../problem-text.ts'
import { isEmptyFile, isUnreadable, type RuleFile, readRuleFiles, unreadableProblems } from '../rule-files.ts'
import { renderDiff } from './diff.ts'
import { type Explained, explainInput, type Item } from './explained.ts'
import { explainedJson } from './json.ts'
import { renderIgnored, renderIntroduction, renderItem, renderSummary, titleOf } from './text.ts'

export interface ExplainOptions {
  readonly filename?: readonly string[]
  readonly rules?: readonly string[]
  readonly rulesName: string
  readonly namespace: string
  readonly namespaceLabels?: Labels
  readonly output: 'text' | 'json' | 'yaml' | 'patch'
  readonly diff?: boolean
  readonly color: boolean
  readonly allRules?: boolean
}

export async function runExplain(options: ExplainOptions, settings: Settings, io: Io): Promise<void> {
  if ((options.filename ?? []).length === 0)
    throw new VnodeError('USAGE', 'there is nothing to explain: neither a file nor a Pod of a cluster', {
      next: 'Name manifests with -f FILE, or Pods with --live NAMESPACE/POD.',
    })
  checkOptions(options)
  const manifests = await readManifests(options, io)
  const rules = readable(readRuleFiles(await readInputs(options.rules ?? [], io), options.rulesName), io)
  const explained = explainInput({
    manifests,
    rules,
    settings,
    defaultNamespace: options.namespace,
    namespaceLabels: options.namespaceLabels ?? new Map(),
  })
  report(explained, options, io)
}

/** Prints what was explained. Throws {@link ExitStatus} where something was not. */
export function report(explained: Explained, options: ExplainOptions, io: Io): void {
  tellProblems(explained, io)
  write(explained, options, io)
  tellFaults(explained, options, io)
}

export function checkOptions({ filename = [], rules = [], diff, output }: ExplainOptions): void {
  if (diff && output !== 'text')
    throw new VnodeError('USAGE', `--diff is for -o text, and this is -o ${output}`, {
      next: 'Leave one of them out; -o yaml prints the Pods as they will be.',
    })
  if ([...filename, ...rules].filter(path => path === STDIN).length > 1)
    throw new VnodeError('USAGE', 'standard input (-) can be read only once')
}

/** Of no file, nothing. */
export async function readManifests(
  { filename = [], rulesName }: ExplainOptions,
  io: Io,
): Promise<readonly RuleFile[]> {
  const files = readable(readRuleFiles(await readInputs(filename, io), rulesName), io)
  if (filename.length === 0 || !files.every(isEmptyFile)) return files
  throw new VnodeError(
    'BAD_FILE',
    `there is nothing to explain in ${files.map(file => file.path).join(', ')}`,
    {
      next: 'Give Pods or workloads as YAML or JSON, such as "kubectl get deployments -o yaml" prints.',
    },
  )
}

/** The files, if all could be parsed: an explanation of half the input would mislead. */
function readable(files: readonly RuleFile[], io: Io): readonly RuleFile[] {
  if (!files.some(isUnreadable)) return files
  for (const problem of files.flatMap(unreadableProblems)) io.stderr(renderFileProblem(problem, PLAIN))
  throw new VnodeError('BAD_FILE', 'nothing is explained, because not all of the input can be read', {
    next: 'Mend or leave out what is named above.',
  })
}

const LAST_GOOD = 'A cluster does not apply a ConfigMap with errors: its last good rules stay in force.'

function tellProblems({ rules, ruleFiles, cluster }: Explained, io: Io): void {
  const errors = rules.problems.filter(isError)
  for (const problem of errors) io.stderr(renderFileProblem(problem, PLAIN))
  // What of them is in force is for the cluster to say.
  if (cluster !== undefined) return
  if (errors.length > 0) {
    io.stderr(`vnode: explained with the valid rules only (${rules.rules.length}). ${LAST_GOOD}\n`)
  }
  const warnings = rules.problems.length - errors.length
  if (warnings === 0) return
  io.stderr(
    `vnode: ${counted(warnings, 'warning')} about the rules: see "vnode rules check ${plainText(ruleFiles.join(' '))}".\n`,
  )
}

function write(explained: Explained, options: ExplainOptions, io: Io): void {
  if (options.output === 'text') writeText(explained, options, io)
  else if (options.output === 'json')
    io.stdout(plainLines(`${JSON.stringify(explainedJson(explained), null, 2)}\n`))
  else {
    for (const item of explained.items) io.stdout(options.output === 'yaml' ? yamlOf(item) : patchOf(item))
    io.stderr(renderIgnored(explained))
  }
}

function yamlOf(item: Item): string {
  return `---\n# ${titleOf(item)}, ${plainText(item.file)}\n${renderManifest(item.explanation?.result ?? item.workload.pod)}`
}

function patchOf({ explanation }: Item): string {
  return plainLines(`${JSON.stringify(explanation?.patch ?? [])}\n`)
}

function writeText(explained: Explained, options: ExplainOptions, io: Io): void {
  const paint = painter(io.hasColor && options.color)
  const width = io.isTerminal ? io.columns : Number.POSITIVE_INFINITY
  io.stdout(renderIntroduction(explained))
  for (const item of explained.items) {
    io.stdout(renderItem(item, { paint, width, showsAllRules: options.allRules === true }))
    const { explanation, workload } = item
    if (!options.diff || explanation === undefined || explanation.patch.length === 0) continue
    io.stdout(`${renderDiff(renderManifest(workload.pod), renderManifest(explanation.result), paint)}\n`)
  }
  io.stdout(renderSummary(explained))
}

/** The rest was explained, but a script must not take the answer for a whole one. */
function tellFaults({ items }: Explained, { output }: ExplainOptions, io: Io): void {
  const faults = items.filter(item => item.fault !== undefined)
  for (const item of output === 'text' ? [] : faults)
    io.stderr(`vnode: ${plainText(`${item.file}: ${titleOf(item)}: ${item.fault}`)}\n`)
  if (faults.length > 0) throw new ExitStatus(1)
}
