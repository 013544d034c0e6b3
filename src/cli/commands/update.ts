import { Command, Option } from 'commander'
import { applyEnvironment, type KeyValue, keyValues, repeated } from '../../config/flags.ts'
import { VnodeError } from '../../core/errors.ts'
import { isOwnTag } from '../../core/vnode/virtual-node-tags.ts'
import type { Io } from '../io.ts'
import { addSessionOptions, type SessionFlags } from '../vnode/session-flags.ts'

interface Flags extends SessionFlags {
  readonly name?: string
  readonly clusterDns?: string
  readonly clusterDomain?: string
  readonly customResources?: string
  readonly tag?: readonly KeyValue[]
  readonly removeTag?: readonly string[]
  readonly force?: boolean
  readonly dryRun?: boolean
  readonly dry?: boolean
}

export function updateCommand(io: Io): Command {
  const command = new Command('update')
    .summary('Change a VNode.')
    .description(
      'Change a VNode, which must be Ready. What is not named stays as it is: it is read first and sent again, as the API resets what is left out.',
    )
    .argument('<id>', "the VNode's id, vnd-…, or the name of its Node")
    .option('--name <name>', 'its name')
    .option('--custom-resources <list>', "a=1,b=2: resources that Pods may request; '' for none")
    .option('--cluster-dns <addresses>', "DNS servers of its Pods, comma-separated; '' for none")
    .option('--cluster-domain <domain>', "DNS domain of the cluster; '' for none")
    .option('--tag <key=value>', 'add or change a tag (repeatable)', keyValues)
    .option('--remove-tag <key>', 'remove a tag (repeatable)', repeated)
    .option('--kubeconfig <file>', "cluster that the VNode belongs to (default: the context's)")
    .option('--force', 'whosever it is')
    .option('--dry-run', 'print the request, and send nothing')
    .addOption(new Option('--dry', 'the same').hideHelp())
    .addOption(new Option('--kubernetes-version <version>', "VNodectl's; not needed").hideHelp())
    .addHelpText('after', '\nExample:\n  vnode update vnd-7xvetkyase7gb62u0000 --cluster-dns 10.96.0.10')
  return addSessionOptions(command).action(async (virtualNodeId: string) => {
    applyEnvironment(command, io.env)
    const flags = command.opts<Flags>()
    const { name, clusterDns, clusterDomain, customResources, tag = [], removeTag = [] } = flags
    checkTags([...tag.map(({ key }) => key), ...removeTag])
    const { runUpdate } = await import('../vnode/update.ts')
    await runUpdate(
      {
        flags,
        virtualNodeId,
        changes: {
          name,
          clusterDNS: clusterDns,
          clusterDomain,
          customResources,
          tags: tag,
          removedTags: removeTag,
        },
        isForced: flags.force === true,
        isDryRun: flags.dryRun === true || flags.dry === true,
      },
      io,
    )
  })
}

/** Ours say whose a VNode is, and what has to be sent again. */
export function checkTags(keys: readonly string[]): void {
  const own = keys.filter(isOwnTag)
  if (own.length > 0) throw new VnodeError('USAGE', `the tag ${own.join(', ')} is set by vnode itself`)
}
