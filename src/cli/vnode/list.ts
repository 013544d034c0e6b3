/** `vnode list` and `vnode describe`: what ECI says of VNodes. */
import { VnodeError } from '../../core/errors.ts'
import type { Tag, VirtualNode, VirtualNodeFilter } from '../../eci/virtual-node.ts'
import type { Io } from '../io.ts'
import type { Output } from '../output-format.ts'
import { renderDetails, renderList } from './render.ts'
import { type Session, withSession } from './session.ts'
import type { SessionFlags } from './session-flags.ts'

export interface ListOptions {
  readonly flags: SessionFlags
  readonly output: Output
  readonly name: string | undefined
  readonly status: string | undefined
  readonly tags: readonly Tag[]
}

export async function runList({ flags, output, name, status, tags }: ListOptions, io: Io): Promise<void> {
  const filter: VirtualNodeFilter = {
    ...(name === undefined ? {} : { virtualNodeName: name }),
    ...(status === undefined ? {} : { status }),
    ...(tags.length === 0 ? {} : { tags }),
  }
  const found = await withSession(flags, io, ({ eci }) => eci.describeVirtualNodes(filter))
  io.stdout(renderList(found, output))
}

export interface DescribeOptions {
  readonly flags: SessionFlags
  readonly output: Output
  readonly virtualNodeId: string
}

export async function runDescribe({ flags, output, virtualNodeId }: DescribeOptions, io: Io): Promise<void> {
  const found = await withSession(flags, io, session => findVirtualNode(session, virtualNodeId))
  io.stdout(renderDetails(found, output))
}

/** `cn-hangzhou.vnd-…`, the Node's name, is understood as well. */
export function bareId(text: string): string {
  const [, id = text] = /^[a-z0-9-]+\.(vnd-.+)$/.exec(text) ?? []
  if (/^vnd-[a-z0-9]+$/.test(id)) return id
  throw new VnodeError(
    'USAGE',
    `${JSON.stringify(text)} is no VNode id, which looks like vnd-7xvetkyase7gb62u0000`,
    {
      next: 'See which there are with: vnode list',
    },
  )
}

export async function findVirtualNode({ eci }: Pick<Session, 'eci'>, text: string): Promise<VirtualNode> {
  const virtualNodeId = bareId(text)
  const [found] = await eci.describeVirtualNodes({ virtualNodeIds: [virtualNodeId] })
  if (found !== undefined) return found
  throw new VnodeError('ECI', `there is no VNode ${virtualNodeId} in ${eci.regionId}`, {
    next: 'See which there are with: vnode list (--region-id names another region)',
  })
}
