/** `vnode daemonsets list`. */
import { type Standing, standingOf } from '../../core/daemonset/standing.ts'
import { asRecord, asString } from '../../core/kubernetes/objects.ts'
import { countDaemonPods, listDaemonSets, readVnodes } from '../../kube/daemonsets.ts'
import type { Io } from '../io.ts'
import { plainText } from '../plain-text.ts'
import { counted } from '../problem-text.ts'
import { renderTable, renderValue } from '../table.ts'
import { type DaemonSetsFlags, withClient } from './flags.ts'

interface Row extends Standing {
  readonly podsOnVnodes: number
}

export async function runList(flags: DaemonSetsFlags, io: Io): Promise<void> {
  await withClient(flags, io, async client => {
    const vnodes = await readVnodes(client)
    const daemonSets = await listDaemonSets(client, flags.namespace)
    const counts = await countDaemonPods(
      client,
      vnodes.all.map(({ name }) => name),
    )
    const environment = { settings: flags.settings, vnodes }
    const rows = daemonSets.map((one): Row => {
      const uid = asString(asRecord(one.object.metadata)?.uid) ?? ''
      return { ...standingOf(one, environment), podsOnVnodes: counts.get(uid) ?? 0 }
    })
    if (flags.output !== 'table') return io.stdout(renderValue(rows.map(rowJson), flags.output))
    if (rows.length === 0) return io.stdout('There are no DaemonSets.\n')
    io.stdout(`${renderTable(HEAD, rows.map(cellsOf))}\n${summaryOf(rows, vnodes.all.length)}`)
  })
}

/** Fields are only ever added to this shape. */
function rowJson({ landing, manager, ...row }: Row): object {
  return { ...row, landing: landing.code, reason: landing.reason, managedBy: manager?.name ?? null }
}

const HEAD = ['NAMESPACE', 'NAME', 'TOLERATES', 'KEPT OFF VNODES BY', 'PODS THERE', 'MANAGED BY']

function cellsOf(row: Row): string[] {
  const { namespace, name, toleratesVnode, podsOnVnodes, manager } = row
  return [
    namespace,
    name,
    toleratesVnode ? 'yes' : 'no',
    keeperOf(row),
    String(podsOnVnodes),
    plainText(manager?.name ?? ''),
  ]
}

const FENCES = {
  admission: 'our fence, by admission',
  command: 'our fence, by command',
  author: 'a fence of its author',
} as const

function keeperOf({ landing, fencedBy, isOptedOut }: Row): string {
  switch (landing.code) {
    case 'not-tolerated':
      return "the VNodes' taint"
    case 'fenced':
      return FENCES[fencedBy ?? 'author']
    case 'kept-off':
      return plainText(landing.reason)
    case 'vnodes-only':
      return 'nothing: it asks for VNodes only'
    default:
      return isOptedOut ? 'nothing: it is opted out' : 'nothing'
  }
}

function summaryOf(rows: readonly Row[], vnodes: number): string {
  const landing = rows.filter(row => row.landing.code === 'lands')
  const there = `${counted(rows.length, 'DaemonSet')}, ${counted(vnodes, 'VNode')}`
  if (landing.length === 0) return `${there}: none of them gets a Pod on a VNode.\n`
  const open = landing.filter(row => !row.isOptedOut).map(row => `${row.namespace}/${row.name}`)
  const what = `${there}: ${landing.length} ${landing.length === 1 ? 'gets' : 'get'} a Pod on every VNode.\n`
  return open.length === 0
    ? what
    : `${what}See what a fence changes: vnode daemonsets fence ${open.join(' ')} --dry-run\n`
}
