/** The flags that change decisions, the same for every command that decides, and their values as Settings. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { labelKeyProblem, labelValueProblem } from '../core/kubernetes/names.ts'
import type { Toleration } from '../core/kubernetes/objects.ts'
import { DEFAULT_AWAY_SECONDS } from '../core/pod/toleration.ts'
import { DEFAULT_SETTINGS, type Settings } from '../core/settings.ts'
import { commaList, dnsLabel, wholeNumber } from './flags.ts'

/** What commander makes of the flags of {@link addSettingsOptions}. */
export interface SettingsOptions {
  readonly vnodeNodeSelector: ReadonlyMap<string, string>
  readonly vnodeToleration: Toleration
  readonly excludeNamespaces: readonly string[]
  readonly allowSkip: Settings['allowSkip']
  readonly installNamespace: string
  readonly selectorScope: Settings['selectorScope']
  readonly tenantEffects: readonly string[]
  readonly unreachableTolerationSeconds: number
}

const { nodeSelector, toleration, installNamespace, unreachableTolerationSeconds } = DEFAULT_SETTINGS
/** The longest a toleration may last: an int32's worth would still be decades. */
const LONGEST_SECONDS = 2 ** 31 - 1

export function addSettingsOptions(command: Command): Command {
  const nodeSelectorText = [...nodeSelector].map(([key, value]) => `${key}=${value}`).join(',')
  return command
    .addOption(
      new Option('--vnode-node-selector <labels>', 'node labels that Pods for VNodes select, k=v,…')
        .default(nodeSelector, nodeSelectorText)
        .argParser(readLabels),
    )
    .addOption(
      new Option('--vnode-toleration <taint>', 'what Pods for VNodes tolerate, key=value:Effect')
        .default(toleration, `${toleration.key}=${toleration.value}:${toleration.effect}`)
        .argParser(readToleration),
    )
    .addOption(
      new Option(
        '--exclude-namespaces <names>',
        "namespaces whose Pods are never touched, besides the installation's",
      )
        .default(['kube-system'], 'kube-system')
        .argParser(commaList),
    )
    .addOption(
      new Option('--allow-skip <whose>', 'whose label vnode-profile.io/skip counts')
        .choices(['pod', 'namespace', 'never'])
        .default('pod'),
    )
    .option('--install-namespace <name>', 'namespace of the installation', dnsLabel, installNamespace)
    .addOption(
      new Option('--selector-scope <scope>', 'where Selectors act: their own namespace, or the whole cluster')
        .choices(['namespace', 'cluster'])
        .default('namespace'),
    )
    .addOption(
      new Option('--tenant-effects <keys>', 'annotation keys that are powers, but that any Selector may set')
        .default([], 'none')
        .argParser(commaList),
    )
    .option(
      '--unreachable-toleration-seconds <n>',
      "how long Pods outlive an unreachable VNode: 300 or more, or 0 to leave Kubernetes' default",
      readAwaySeconds,
      unreachableTolerationSeconds,
    )
}

export function settingsFrom(options: SettingsOptions): Settings {
  return {
    installNamespace: options.installNamespace,
    selectorScope: options.selectorScope,
    tenantEffects: new Set(options.tenantEffects),
    nodeSelector: options.vnodeNodeSelector,
    toleration: options.vnodeToleration,
    excludedNamespaces: new Set([...options.excludeNamespaces, options.installNamespace]),
    allowSkip: options.allowSkip,
    unreachableTolerationSeconds: options.unreachableTolerationSeconds,
  }
}

/** `k=v,k2=v2` as label keys and values that the apiserver would take: a wrong one would refuse every Pod. */
export function readLabels(text: string): ReadonlyMap<string, string> {
  const entries = commaList(text).map(item => splitLabel(item))
  if (entries.length === 0) throw new InvalidArgumentError('must be at least one label, key=value')
  return new Map(entries)
}

/** The same for a flag that is given several times. */
export function repeatedLabels(
  text: string,
  previous: ReadonlyMap<string, string> | undefined,
): ReadonlyMap<string, string> {
  return new Map([...(previous ?? []), ...readLabels(text)])
}

function splitLabel(item: string): [string, string] {
  const at = item.indexOf('=')
  const [key, value] = at < 0 ? [item, ''] : [item.slice(0, at), item.slice(at + 1)]
  const problem = at < 0 ? 'it has no "="' : (labelKeyProblem(key) ?? labelValueProblem(value))
  if (problem !== undefined)
    throw new InvalidArgumentError(`${JSON.stringify(item)} is not a label, key=value: ${problem}`)
  return [key, value]
}

/** Between 0 and what every Pod has anyway nothing would change, and it would seem as if Pods were moved away sooner. */
function readAwaySeconds(text: string): number {
  const seconds = wholeNumber(0, LONGEST_SECONDS)(text)
  if (seconds === 0 || seconds >= DEFAULT_AWAY_SECONDS) return seconds
  throw new InvalidArgumentError(
    `must be 0 or at least ${DEFAULT_AWAY_SECONDS}: Kubernetes gives every Pod ${DEFAULT_AWAY_SECONDS} seconds, which are lengthened and never shortened; 0 leaves them as they are`,
  )
}

const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute']

/** `key=value:Effect`, or `key:Effect` for a taint without a value. */
export function readToleration(text: string): Toleration {
  const at = text.lastIndexOf(':')
  const effect = text.slice(at + 1)
  const taint = at < 0 ? '' : text.slice(0, at)
  if (!EFFECTS.includes(effect))
    throw new InvalidArgumentError(`must be key=value:Effect, with one of ${EFFECTS.join(', ')}`)
  const [key, value] = splitLabel(taint.includes('=') ? taint : `${taint}=`)
  return { key, operator: 'Equal', value, effect }
}
