import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse } from 'yaml'
import type { ControlPlane } from '../test/helpers/control-plane.ts'
import { createPods } from '../test/helpers/pod-crowd.ts'
import { type Memory, memoryOf } from '../test/helpers/process-memory.ts'
import { startRealNode } from '../test/helpers/vnode.ts'
import type { Context } from './context.ts'
import {
  type HelperCluster,
  openNamespace,
  podNamed,
  startHelper,
  startHelperCluster,
  until,
  VNODE,
} from './helper-cluster.ts'
import { ROOT } from './programs.ts'
import { number, type Section, verdict } from './report.ts'

const PENDING = 2000
/** By node; each takes half a CPU, which fills the real ones. */
const RUNNING = { 'real-1': 4500, 'real-2': 4500, [VNODE]: 1000 }
const REST_MS = 5000
const PACE = ['--spill-rate', '100000', '--spill-burst', '100000']

interface Footprint {
  readonly name: string
  readonly running: Memory
  readonly spilled: Memory
}

/** What the helper takes with 10,000 Pods running, and when 2,000 more have come and gone to a VNode. */
export async function measureHelperMemory(context: Context): Promise<Section> {
  const limit = limitOfChart()
  const cluster = await startHelperCluster()
  try {
    const idle = await measureIdle(context, cluster, asInContainer(limit))
    await fill(context, cluster.controlPlane)
    const found = [
      await measure(context, cluster, { name: `limit of ${limit} MiB`, nodeArgs: asInContainer(limit) }),
      await measure(context, cluster, { name: 'no limit', nodeArgs: [] }),
    ]
    return section(idle, found, limit)
  } finally {
    await cluster.controlPlane.stop()
  }
}

/** MiB that the chart lets a helper have. */
function limitOfChart(): number {
  const values = parse(readFileSync(join(ROOT, 'charts/vnode-profile/values.yaml'), 'utf8'))
  const { memory } = values.helper.resources.limits
  if (!/^\d+Mi$/.test(memory)) throw new Error(`the helper's memory limit is not in Mi: ${memory}`)
  return Number.parseInt(memory, 10)
}

/** What Node makes of a container's limit: of it the image's share for old objects, and for new ones the least that there is. */
function asInContainer(limit: number): string[] {
  const found = /--max-old-space-size-percentage=(\d+)/.exec(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'))
  if (found === null) throw new Error('the image does not limit its heap')
  return [`--max-old-space-size=${Math.floor((limit * Number(found[1])) / 100)}`, '--max-semi-space-size=1']
}

async function measureIdle(context: Context, cluster: HelperCluster, nodeArgs: string[]): Promise<Memory> {
  const helper = await startHelper(context, cluster, { nodeArgs })
  await sleep(REST_MS)
  const idle = memoryOf(helper.pid)
  await helper.stop()
  return idle
}

async function fill({ review, say }: Context, controlPlane: ControlPlane): Promise<void> {
  for (const name of ['real-1', 'real-2'])
    await startRealNode(controlPlane, { name, cpu: '2250', pods: 5000 })
  const ledger = await openNamespace(controlPlane, 'bench-running')
  let from = 0
  for (const [nodeName, count] of Object.entries(RUNNING)) {
    const pod = (name: string) => podNamed(review, name, { nodeName })
    await createPods(controlPlane, { namespace: 'bench-running', count, from, pod })
    from += count
  }
  await until(() => ledger.runningAt.size === from)
  ledger.stop()
  say(`  ${from} Pods run`)
}

async function measure(
  context: Context,
  cluster: HelperCluster,
  { name, nodeArgs }: { readonly name: string; readonly nodeArgs: readonly string[] },
): Promise<Footprint> {
  const namespace = `bench-pending-${name.replaceAll(/[^a-zA-Z0-9]+/g, '-').toLowerCase()}`
  const { controlPlane } = cluster
  const ledger = await openNamespace(controlPlane, namespace)
  const helper = await startHelper(context, cluster, { nodeArgs, args: PACE })
  const pod = (name: string) => podNamed(context.review, name)
  // The first one makes it look at what the others request.
  await createPods(controlPlane, { namespace, count: 1, pod })
  await until(() => ledger.boundAt.size === 1)
  await sleep(REST_MS)
  const running = memoryOf(helper.pid)
  controlPlane.pause('kube-scheduler')
  await createPods(controlPlane, { namespace, count: PENDING, from: 1, pod })
  controlPlane.resume('kube-scheduler')
  await until(() => ledger.boundAt.size === PENDING + 1)
  await sleep(REST_MS)
  const spilled = memoryOf(helper.pid)
  ledger.stop()
  await helper.stop()
  await controlPlane.ask('DELETE', `/api/v1/namespaces/${namespace}/pods?gracePeriodSeconds=0`, {
    timeout: 120_000,
  })
  context.say(`  ${name}: ${running.resident.toFixed(0)} MiB, at most ${spilled.peak.toFixed(0)} MiB`)
  return { name, running, spilled }
}

function section(idle: Memory, found: readonly Footprint[], limit: number): Section {
  const [limited] = found
  return {
    title: 'Memory of the helper',
    method: `The bundled helper, leading, in a cluster with 10,000 running Pods, 1,000 of them on a VNode; then ${PENDING} more turn unschedulable at once and go to the VNode. The rule has a ratio, so that the requests of all bound Pods are followed. Each reading ${REST_MS / 1000} s after; the most is of the whole time. With a limit: under the flags that make of Node what it is in a container of the chart's limit and with the image's NODE_OPTIONS. Own: without what is mapped from files. In an empty cluster, with the limit: ${number(idle.resident)} MiB, ${number(idle.own)} own.`,
    table: {
      head: ['Node', 'RSS MiB running', 'own', 'after the spills', 'own', 'most'],
      rows: found.map(({ name, running, spilled }) => [
        name,
        ...[running.resident, running.own, spilled.resident, spilled.own, spilled.peak].map(value =>
          number(value),
        ),
      ]),
    },
    notes: [
      `with a limit: most ${verdict((limited?.spilled.peak ?? Number.NaN) < limit, `under ${limit} MiB`)}`,
    ],
  }
}
