/** `vnode update`: changes what was asked, and sends everything else again as it is, because the API resets what is left out. */
import { randomUUID } from 'node:crypto'
import { VnodeError } from '../../core/errors.ts'
import {
  isOwnTag,
  rememberedSettings,
  SETTING_TAGS,
  settingNames,
  settingTags,
  type VirtualNodeSettings,
} from '../../core/vnode/virtual-node-tags.ts'
import type { Tag, UpdateVirtualNodeRequest, VirtualNode } from '../../eci/virtual-node.ts'
import type { Io } from '../io.ts'
import type { AnswerOutput } from '../output-format.ts'
import { checkBelonging } from './belonging.ts'
import { findVirtualNode } from './list.ts'
import { NEW_TOKEN, renderAnswer, renderRequest } from './request.ts'
import { withSession } from './session.ts'
import type { SessionFlags } from './session-flags.ts'

export interface UpdateOptions {
  readonly flags: SessionFlags
  readonly virtualNodeId: string
  readonly changes: Changes
  readonly isForced: boolean
  readonly isDryRun: boolean
  readonly output: AnswerOutput
}

/** Undefined: as it is. */
export interface Changes {
  readonly name?: string | undefined
  readonly clusterDNS?: string | undefined
  readonly clusterDomain?: string | undefined
  readonly customResources?: string | undefined
  readonly tags: readonly Tag[]
  readonly removedTags: readonly string[]
}

const FLAGS: Readonly<Record<keyof VirtualNodeSettings, string>> = {
  clusterDNS: '--cluster-dns',
  clusterDomain: '--cluster-domain',
  customResources: '--custom-resources',
}

export async function runUpdate(options: UpdateOptions, io: Io): Promise<void> {
  const { flags, virtualNodeId, changes, isForced, isDryRun, output } = options
  if (isNothing(changes)) {
    throw new VnodeError('USAGE', 'nothing is asked to be changed', {
      next: 'Give one of --name, --cluster-dns, --cluster-domain, --custom-resources, --tag, --remove-tag.',
    })
  }
  await withSession(flags, io, async ({ eci, connect }) => {
    const virtualNode = await findVirtualNode({ eci }, virtualNodeId)
    if (!isForced) await within(await connect(), client => checkBelonging(virtualNode, client))
    const request = fullRequest(virtualNode, changes)
    if (isDryRun) {
      const { updateParameters } = await import('../../eci/client.ts')
      const parameters = updateParameters(eci.regionId, { ...request, clientToken: NEW_TOKEN })
      return io.stdout(renderRequest({ action: 'UpdateVirtualNode', parameters }, output))
    }
    const { requestId } = await eci.updateVirtualNode({ ...request, clientToken: randomUUID() })
    io.stdout(renderAnswer({ RequestId: requestId, VirtualNodeId: request.virtualNodeId }, output))
  })
}

/** Runs with something that is closed afterwards. */
async function within<R extends { close(): Promise<void> }>(
  resource: R,
  run: (resource: R) => Promise<void>,
): Promise<void> {
  try {
    await run(resource)
  } finally {
    await resource.close()
  }
}

function isNothing({ tags, removedTags, ...values }: Changes): boolean {
  return tags.length + removedTags.length === 0 && Object.values(values).every(value => value === undefined)
}

/** All that the call takes: the changes over what the VNode has. Throws where that is known of neither. */
export function fullRequest(virtualNode: VirtualNode, changes: Changes): UpdateVirtualNodeRequest {
  const settings = settingsAfter(virtualNode, changes)
  return {
    virtualNodeId: virtualNode.virtualNodeId,
    virtualNodeName: changes.name ?? virtualNode.virtualNodeName,
    ...settings,
    tag: tagsAfter(virtualNode, changes, settings),
  }
}

function settingsAfter({ tags, virtualNodeId }: VirtualNode, changes: Changes): VirtualNodeSettings {
  const remembered = rememberedSettings(tags)
  const unknown = settingNames().filter(name => changes[name] === undefined && remembered[name] === undefined)
  if (unknown.length > 0) {
    const names = unknown.map(name => FLAGS[name]).join(', ')
    throw new VnodeError(
      'REFUSED',
      `the API does not tell what VNode ${virtualNodeId} has for ${names}, and would reset what is left out`,
      { next: `Give ${names} too; '' where there shall be none.` },
    )
  }
  const after = (name: keyof VirtualNodeSettings) => changes[name] ?? remembered[name] ?? ''
  return {
    clusterDNS: after('clusterDNS'),
    clusterDomain: after('clusterDomain'),
    customResources: after('customResources'),
  }
}

function tagsAfter({ tags }: VirtualNode, changes: Changes, settings: VirtualNodeSettings): readonly Tag[] {
  const settingKeys: readonly string[] = Object.values(SETTING_TAGS)
  const kept = tags.filter(
    ({ key }) => !settingKeys.includes(key) && (isOwnTag(key) || !changes.removedTags.includes(key)),
  )
  const byKey = new Map([...kept, ...changes.tags, ...settingTags(settings)].map(tag => [tag.key, tag]))
  return [...byKey.values()]
}
