/** The VNodes of a cluster, as far as they are known. */
import { asRecord, asRecords, asString, type Taint } from '../kubernetes/objects.ts'
import { LABEL_HOSTNAME, VNODE_TYPE_LABEL, VNODE_TYPE_VALUE } from '../names.ts'
import { type Labels, labelsOf } from '../selector/requirement.ts'

export interface Vnode {
  readonly name: string
  readonly labels: Labels
  readonly taints: readonly Taint[]
}

/** `cn-hangzhou.vnd-7xvetkyase7gb62u`: region, dot, VNode id. */
const VNODE_NAME = /^[a-z0-9-]+\.vnd-[a-z0-9-]+$/

export class VnodeSet {
  readonly all: readonly Vnode[]
  readonly #names: ReadonlySet<string>

  constructor(all: readonly Vnode[] = []) {
    this.all = all
    this.#names = new Set(all.map(vnode => vnode.name))
  }

  /** With no VNode known yet, a name that is shaped like one counts. */
  hasName(name: string): boolean {
    return this.#names.size > 0 ? this.#names.has(name) : VNODE_NAME.test(name)
  }
}

/** A Node object as a VNode; undefined if it is not labelled as one. */
export function vnodeOf(node: unknown): Vnode | undefined {
  const metadata = asRecord(asRecord(node)?.metadata)
  const name = asString(metadata?.name)
  const labels = labelsOf(metadata?.labels)
  if (name === undefined || labels.get(VNODE_TYPE_LABEL) !== VNODE_TYPE_VALUE) return undefined
  const taints = asRecords(asRecord(asRecord(node)?.spec)?.taints)
  return { name, labels: withHostname(labels, name), taints }
}

function withHostname(labels: Labels, name: string): Labels {
  return labels.has(LABEL_HOSTNAME) ? labels : new Map([...labels, [LABEL_HOSTNAME, name]])
}
