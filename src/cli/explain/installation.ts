/** What the programs of a cluster's installation were started with: `vnode explain --live` decides by the same. */
import { Command, CommanderError, Option } from 'commander'
import { addSettingsOptions } from '../../config/settings.ts'
import { addSpillTimes } from '../../config/spill-times.ts'
import { messageOf, VnodeError } from '../../core/errors.ts'
import { asArray, asRecord, asRecords, asString } from '../../core/kubernetes/objects.ts'
import { RULES_CONFIGMAP, RULES_NAMESPACE } from '../../core/names.ts'
import { DEFAULT_NAME } from '../../core/rbac.ts'
import type { KubeClient } from '../../kube/api.ts'
import { resourcePath } from '../../kube/path.ts'
import { listAll } from '../../kube/read.ts'

/** The chart's Deployments carry it. */
const LABEL = 'app.kubernetes.io/name=vnode-profile'
const PROGRAMS = ['webhook', 'helper']

export interface Installation {
  readonly namespace: string
  /** `namespace/name` of the Deployments. */
  readonly deployments: readonly string[]
  /** The arguments of their programs, one after the other. */
  readonly args: readonly string[]
}

/** The installations of a cluster, by their Deployments. */
export async function readInstallations(client: KubeClient): Promise<readonly Installation[]> {
  const path = resourcePath({ group: 'apps', version: 'v1', plural: 'deployments' })
  const programs = (await listAll(client, path, { labelSelector: LABEL })).flatMap(programOf)
  const namespaces = [...new Set(programs.map(one => one.namespace))].sort()
  return namespaces.map(namespace => {
    const own = programs.filter(one => one.namespace === namespace)
    return {
      namespace,
      deployments: own.map(({ name }) => `${namespace}/${name}`).sort(),
      args: own.flatMap(({ args }) => args),
    }
  })
}

interface Program {
  readonly namespace: string
  readonly name: string
  readonly args: readonly string[]
}

function programOf(deployment: Record<string, unknown>): Program[] {
  const { namespace, name } = asRecord(deployment.metadata) ?? {}
  const pod = asRecord(asRecord(asRecord(deployment.spec)?.template)?.spec)
  return asRecords(pod?.containers).flatMap(container => {
    const [program = '', ...args] = asArray(container.args).flatMap(text => asString(text) ?? [])
    if (!PROGRAMS.includes(program)) return []
    return [{ namespace: asString(namespace) ?? '', name: asString(name) ?? '', args }]
  })
}

/** The one that is meant: that of the namespace, if one is named. Undefined if there is none. */
export function chooseInstallation(
  all: readonly Installation[],
  namespace: string | undefined,
): Installation | undefined {
  if (namespace !== undefined) return all.find(one => one.namespace === namespace)
  if (all.length < 2) return all[0]
  const names = all.map(one => one.namespace).join(', ')
  throw new VnodeError('USAGE', `there are installations in several namespaces: ${names}`, {
    next: 'Name one: --install-namespace NAME.',
  })
}

/** The flags of `vnode explain --live` that an installation has as well. */
export function addInstallationOptions(command: Command): Command {
  command
    .option('--rules-namespace <name>', 'with --live: namespace of the rules ConfigMap', RULES_NAMESPACE)
    .option('--rules-name <name>', 'name of the rules ConfigMap', RULES_CONFIGMAP)
  return addSpillTimes(addSettingsOptions(command))
}

/** What it says besides those flags. */
export interface HelperFacts {
  /** Prefix of the helper's names. */
  readonly name: string
  readonly spills: boolean
}

export const UNKNOWN_HELPER: HelperFacts = { name: DEFAULT_NAME, spills: true }

/** Sets the flags that nobody gave to the installation's, and gives what else it says. */
export function takeOver(command: Command, { args, deployments }: Installation): HelperFacts {
  const read = addInstallationOptions(new Command())
    .option('--name <prefix>', '', UNKNOWN_HELPER.name)
    // Only a whole parse gives a lone negated option its default.
    .addOption(new Option('--no-spill').default(true))
    .allowUnknownOption()
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
  try {
    // Theirs are of the form --flag=value, so that one that is unknown here takes no other's value along.
    read.parseOptions([...args])
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    throw new VnodeError('BAD_SETTINGS', `${deployments.join(', ')}: ${messageOf(error)}`, {
      next: 'Give the settings as flags, and --no-installation.',
    })
  }
  for (const option of read.options) {
    const name = option.attributeName()
    if (read.getOptionValueSource(name) !== 'cli' || command.getOptionValueSource(name) !== 'default')
      continue
    command.setOptionValueWithSource(name, read.getOptionValue(name), 'config')
  }
  const { name, spill } = read.opts<{ name: string; spill: boolean }>()
  return { name, spills: spill }
}
