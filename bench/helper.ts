import { MissingProgramsError } from '../test/helpers/kube-programs.ts'
import { createPods } from '../test/helpers/pod-crowd.ts'
import type { SpillLedger } from '../test/helpers/spill-ledger.ts'
import type { Context } from './context.ts'
import {
  type HelperCluster,
  openNamespace,
  podNamed,
  startHelper,
  startHelperCluster,
  until,
} from './helper-cluster.ts'
import { measureHelperMemory } from './helper-memory.ts'
import { number, type Section, skipped } from './report.ts'
import { quantile } from './statistics.ts'

const TITLE = 'From Unschedulable to patched'
const FEW = 10
const MANY = 2000
/** So high that it is not ECI's limits that are measured. */
const UNLIMITED = ['--spill-rate', '100000', '--spill-burst', '100000']

interface Delays {
  readonly name: string
  /** Of each Pod, in milliseconds. */
  readonly each: readonly number[]
  /** From the first Pod that was reported to the last that was patched, of each batch. */
  readonly batches: readonly number[]
}

/** Part 5: how soon the helper lets Pods go, and what it takes in a large cluster. */
export async function measureHelper(context: Context): Promise<Section[]> {
  try {
    return [await measureDelays(context), await measureHelperMemory(context)]
  } catch (error) {
    if (!(error instanceof MissingProgramsError)) throw error
    return [skipped(TITLE, error)]
  }
}

async function measureDelays(context: Context): Promise<Section> {
  const cluster = await startHelperCluster()
  try {
    const few = { args: UNLIMITED, batches: context.rounds, pods: FEW }
    const found = [
      await measure(context, cluster, { name: `${FEW} Pods`, ...few }),
      await measure(context, cluster, { name: `${MANY} Pods`, args: UNLIMITED, batches: 1, pods: MANY }),
      await measure(context, cluster, {
        name: `${MANY} Pods, default limits`,
        args: [],
        batches: 1,
        pods: MANY,
      }),
    ]
    return section(found, cluster, context)
  } finally {
    await cluster.controlPlane.stop()
  }
}

interface Order {
  readonly name: string
  readonly args: readonly string[]
  readonly batches: number
  readonly pods: number
}

async function measure(context: Context, cluster: HelperCluster, order: Order): Promise<Delays> {
  const { name, args, batches } = order
  const helper = await startHelper(context, cluster, { args })
  const found: number[][] = []
  const spans: number[] = []
  try {
    for (let batch = 0; batch < batches; batch += 1) {
      const { delays, span } = await measureBatch(context, cluster, { ...order, batch })
      found.push(delays)
      spans.push(span)
    }
  } finally {
    await helper.stop()
  }
  context.say(`  ${name}: p50 ${number(quantile(found.flat(), 0.5))} ms`)
  return { name, each: found.flat(), batches: spans }
}

async function measureBatch(
  { review }: Context,
  { controlPlane }: HelperCluster,
  { name, pods, batch }: Order & { readonly batch: number },
): Promise<{ readonly delays: number[]; readonly span: number }> {
  const namespace = `${name} ${batch}`.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')
  const ledger = await openNamespace(controlPlane, `bench-${namespace}`)
  // All are there when it begins to look at them.
  controlPlane.pause('kube-scheduler')
  await createPods(controlPlane, {
    namespace: `bench-${namespace}`,
    count: pods,
    pod: name => podNamed(review, name),
  })
  controlPlane.resume('kube-scheduler')
  await until(() => ledger.spilledAt.size === pods)
  ledger.stop()
  return { delays: delaysOf(ledger), span: spanOf(ledger) }
}

function delaysOf({ unschedulableAt, spilledAt }: SpillLedger): number[] {
  return [...spilledAt].map(([pod, at]) => at - (unschedulableAt.get(pod) ?? Number.NaN))
}

function spanOf({ unschedulableAt, spilledAt }: SpillLedger): number {
  return Math.max(...spilledAt.values()) - Math.min(...unschedulableAt.values())
}

function section(found: readonly Delays[], { controlPlane }: HelperCluster, { rounds }: Context): Section {
  return {
    title: TITLE,
    method: `The bundled helper in a Kubernetes ${controlPlane.version} cluster with its own scheduler, on the same cores. Both moments as one watch sees them: the scheduler's report, and the Pod with the toleration. ${FEW} Pods: ${rounds} batches, one after the other. Rate and burst are set so high that they limit nothing, except in the last row, where they are what ECI allows. Pods of a batch are patched one after the other, so that most of the time of many Pods is spent waiting for their turn.`,
    table: {
      head: ['at once', 'p50 ms', 'p99 ms', 'whole batch s, median'],
      rows: found.map(({ name, each, batches }) => [
        name,
        number(quantile(each, 0.5)),
        number(quantile(each, 0.99)),
        number(quantile(batches, 0.5) / 1000, 2),
      ]),
    },
    notes: [],
  }
}
