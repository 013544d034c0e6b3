/** `vnode rules convert`: rules of one format as YAML of the other, with what is lost. */
import { VnodeError } from '../../core/errors.ts'
import type { ConversionNote } from '../../core/selector/conversion.ts'
import { convertToRules } from '../../core/selector/convert-to-rules.ts'
import { convertToSelectors } from '../../core/selector/convert-to-selectors.ts'
import type { ResourceScope } from '../../core/selector/resource-rules.ts'
import type { Rule } from '../../core/selector/rule.ts'
import { readInputs } from '../input.ts'
import { ExitStatus, type Io } from '../io.ts'
import { PLAIN } from '../paint.ts'
import { plainText } from '../plain-text.ts'
import { counted, isError, renderFileProblem } from '../problem-text.ts'
import { type CompiledFiles, compileRuleFiles, type RuleFile, readRuleFiles } from '../rule-files.ts'
import {
  cleanObject,
  configMapOf,
  renderDocuments,
  renderRulesConfigMap,
  renderSelector,
  type SelectorForm,
} from './manifests.ts'
import { dialectNotes, scopeNotes } from './portability.ts'

export interface ConvertOptions {
  readonly to: 'selectors' | 'configmap'
  readonly namespace?: string
  readonly apiVersion: 'v1' | 'v1beta1'
  readonly rulesName: string
  readonly scope: ResourceScope
}

interface Converted {
  readonly documents: readonly Commented[]
  readonly notes: readonly ConversionNote[]
  readonly summary: string
}

interface Commented {
  readonly object: Record<string, unknown>
  readonly comment?: string
}

export async function runConvert(paths: readonly string[], options: ConvertOptions, io: Io): Promise<void> {
  const files = readRuleFiles(await readInputs(paths, io), options.rulesName)
  const compiled = compileRuleFiles(files, options.scope)
  refuseProblems(compiled, io)
  const input: Input = { files, compiled, options }
  const { documents, notes, summary } = options.to === 'selectors' ? toSelectors(input) : toConfigMap(input)
  const lines = notes.map(({ kind, rule, message }) => `${kind}: ${JSON.stringify(rule)} ${message}`)
  for (const line of lines) io.stderr(`vnode: ${plainText(line)}\n`)
  io.stderr(`vnode: ${summary}\n`)
  io.stdout(renderDocuments(documents, [summary, ...lines]))
}

interface Input {
  readonly files: readonly RuleFile[]
  readonly compiled: CompiledFiles
  readonly options: ConvertOptions
}

/** Half of the rules converted would pass for all of them. */
function refuseProblems({ problems }: CompiledFiles, io: Io): void {
  for (const problem of problems) io.stderr(renderFileProblem(problem, PLAIN))
  if (!problems.some(isError)) return
  io.stderr('vnode: nothing is converted, because rules have errors. Mend what is named above.\n')
  throw new ExitStatus(1)
}

function toSelectors({ files, compiled, options }: Input): Converted {
  const { configMapRules, selectors: existing } = compiled
  if (configMapRules.length === 0) throw nothingToConvert('no ConfigMap rules', files)
  const { selectors, left, notes } = convertToSelectors(configMapRules, existing)
  const form = formOf(options)
  const made = selectors.map(({ rule, priority, name }) => ({
    object: renderSelector(rule, { ...form, priority, name }),
    ...(name === rule.name ? {} : { comment: `Rule ${JSON.stringify(rule.name)}` }),
  }))
  const configMap = configMapOf(files)
  const isConfigMapKept = left.length > 0 || configMap !== undefined
  const rest = isConfigMapKept ? [{ object: renderRulesConfigMap(left, configMap, options.rulesName) }] : []
  const kept = left.length === 0 ? '' : `, and ${counted(left.length, 'rule')} in the ConfigMap`
  return {
    documents: [...existingSelectors(files), ...made, ...rest],
    notes: [
      ...notes,
      ...dialectNotes(
        selectors.map(one => one.rule),
        'selectors',
      ),
      ...scopeNotes(
        made.map(one => one.object),
        options.scope,
      ),
    ],
    summary: `${counted(configMapRules.length, 'ConfigMap rule')} as ${counted(selectors.length, 'Selector')}${kept}`,
  }
}

function formOf({ namespace, apiVersion, scope }: ConvertOptions): SelectorForm {
  const where = namespace ?? scope.installNamespace
  return where === '' ? { apiVersion } : { apiVersion, namespace: where }
}

function existingSelectors(files: readonly RuleFile[]): Commented[] {
  return files.flatMap(({ documents }) =>
    documents.selectors.map(({ object }) => ({ object: cleanObject(object) })),
  )
}

function toConfigMap({ files, compiled, options }: Input): Converted {
  const { configMapRules, rules } = compiled
  const selectors: Rule[] = rules.filter(rule => rule.origin === 'Selector')
  if (selectors.length === 0) throw nothingToConvert('no Selectors', files)
  const converted = convertToRules(selectors, configMapRules)
  const count = converted.rules.length - configMapRules.length
  const before =
    configMapRules.length === 0 ? '' : `, before ${counted(configMapRules.length, 'rule')} that it had`
  return {
    documents: [
      {
        object: renderRulesConfigMap(converted.rules, configMapOf(files), options.rulesName),
      },
    ],
    notes: [...converted.notes, ...dialectNotes(converted.rules.slice(0, count), 'configmap')],
    summary: `${counted(selectors.length, 'Selector')} as ${counted(count, 'ConfigMap rule')}${before}`,
  }
}

function nothingToConvert(what: string, files: readonly RuleFile[]): VnodeError {
  return new VnodeError(
    'BAD_FILE',
    `there are ${what} to convert in ${files.map(file => file.path).join(', ')}`,
    {
      next: 'See "vnode rules check" for what the files hold, and --to for the other direction.',
    },
  )
}
