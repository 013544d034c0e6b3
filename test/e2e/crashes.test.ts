/** Processes that are killed, or stand still: the API server goes on creating Pods, and one helper leads. */
import t from 'tap'
import { e2eOrSkip, SYSTEM } from '../helpers/e2e.ts'
import {
  helperMetrics,
  type Leader,
  metricsOf,
  NAMES,
  SECRET,
  samplesOf,
  waitForLeader,
} from '../helpers/e2e-helper.ts'
import { HeldWrites } from '../helpers/e2e-hold.ts'
import { secondsSince } from '../helpers/e2e-load.ts'
import { kill, nodeOrSkip } from '../helpers/e2e-node.ts'
import type { KubeObject } from '../helpers/kube-http.ts'

const node = nodeOrSkip(t)
const e2e = node === undefined ? undefined : await e2eOrSkip(t)

/** Beyond the Lease: the next look at it, two seconds or so apart, on a machine that does everything at once. */
const TAKE_OVER_SECONDS = 10

if (node !== undefined && e2e !== undefined) {
  const pathOf = (podName: string) => `/api/v1/namespaces/${SYSTEM}/pods/${podName}`
  const podOf = async (podName: string) => {
    const pod = await e2e.find(pathOf(podName))
    if (pod === undefined) throw new Error(`no Pod ${podName}`)
    return pod
  }
  const helperOf = async ({ podName }: Leader) => node.programOf(await podOf(podName), 'helper')
  const waitForRestart = ({ metadata }: KubeObject) =>
    e2e.waitFor(`${metadata.name} runs again`, async () => {
      const { status } = (await podOf(metadata.name)) as unknown as ContainerStatuses
      return (
        status.containerStatuses?.every(({ ready, restartCount }) => ready && restartCount > 0) || undefined
      )
    })

  await e2e.install()

  await t.test('kill -9 of one webhook while Pods are created refuses none; it misses a few', async t => {
    const load = await e2e.during(20, async load => {
      await e2e.waitFor('Pods are created', async () => load.created >= 40 || undefined)
      const victim = await busiest()
      await kill([node.programOf(victim, 'webhook')])
      await waitForRestart(victim)
    })
    t.comment(`${load.created} created in ${load.seconds} s, ${load.unmarked.length} of them missed`)
    t.strictSame(load.refused, [], 'none is refused')
    t.ok(load.unmarked.length < load.created / 2, 'the other one serves')
    await e2e.waitForMark()
  })

  await t.test('a leader is killed: another leads once the Lease is over', async t => {
    const before = await waitForLeader(e2e)
    const pod = await podOf(before.podName)
    await kill([await helperOf(before)])
    const start = performance.now()
    const after = await waitForLeader(e2e, before)
    const seconds = secondsSince(start)
    t.comment(`${after.podName} leads ${seconds} s after the kill; the Lease lasts ${before.leaseSeconds} s`)
    t.ok(seconds < before.leaseSeconds + TAKE_OVER_SECONDS)
    t.equal((await metricsOf(e2e, after.podName)).sum('leader'), 1, 'it knows that it leads')
    await waitForRestart(pod)
    // The Pod that was killed has a new process by then, which has the same chance.
    t.equal((await helperMetrics(e2e)).sum('leader'), 1, 'of all helpers it alone')
  })

  await t.test('a leader stands still for longer than the Lease: its late write is refused', async t => {
    // A write is held back for half a minute at most, and the take-over has to fit in.
    const times = ['VNODE_LEASE_DURATION=6s', 'VNODE_RENEW_DEADLINE=4s', 'VNODE_RETRY_PERIOD=1s']
    await e2e.kubectl('set', 'env', `deployment/${NAMES.owner}`, ...times)
    await e2e.kubectl('rollout', 'status', `deployment/${NAMES.owner}`, '--timeout', '150s')
    await e2e.waitForOldPods('helper', 2)
    const writes = await HeldWrites.start(t, e2e)
    const held = writes.next()
    const spoilt = await spoil()
    const late = await held
    const old = await podOf(late.podName)
    const pid = node.programOf(old, 'helper')
    const leading = await waitForLeader(e2e)
    t.equal(leading.podName, late.podName, 'the write is the leader’s')
    process.kill(pid, 'SIGSTOP')
    const start = performance.now()

    const leader = await waitForLeader(e2e, leading)
    const seconds = secondsSince(start)
    t.comment(`${leader.podName} leads ${seconds} s after ${late.podName} was stopped`)
    t.ok(seconds < leading.leaseSeconds + TAKE_OVER_SECONDS)
    t.not(leader.podName, late.podName, 'the other helper leads')
    await e2e.waitFor(
      'the new leader has mended the Secret',
      async () => (await version()) !== spoilt || undefined,
    )
    late.release()
    const refused = await e2e.waitFor('what became of the late write', async () =>
      node
        .writesOf(late.podName)
        .findLast(
          ({ objectRef, stageTimestamp }) =>
            objectRef.resource === 'secrets' && stageTimestamp > leader.acquireTime,
        ),
    )
    t.match(refused, { verb: 'patch', objectRef: { name: NAMES.secret }, responseStatus: { code: 409 } })
    t.comment(`the API server to the late write of ${late.podName}: ${refused.responseStatus.code}`)

    process.kill(pid, 'SIGCONT')
    await e2e.waitFor(
      'the old leader knows',
      async () => (await e2e.kubectl('logs', late.podName)).includes('not leading any more') || undefined,
    )
    t.equal((await metricsOf(e2e, late.podName)).sum('leader'), 0)
    t.equal((await metricsOf(e2e, leader.podName)).sum('leader'), 1)
    const lateWrites = node
      .writesOf(late.podName)
      .filter(({ stageTimestamp }) => stageTimestamp > leader.acquireTime)
    t.comment(
      `its late writes: ${lateWrites.map(({ objectRef, responseStatus }) => `${objectRef.resource} ${responseStatus.code}`).join(', ')}`,
    )
    t.strictSame(
      lateWrites.filter(({ responseStatus }) => responseStatus.code !== 409),
      [],
      'nothing that it wrote late was taken',
    )
    await e2e.waitForMark()
  })

  /** API servers keep their connections, so that not every webhook is called. */
  async function busiest(): Promise<KubeObject> {
    const pods = (await e2e?.podsOf('webhook')) ?? []
    const counted = await Promise.all(pods.map(pod => answersOf(pod.metadata.name)))
    const [most] = pods.toSorted(
      (one, other) => (counted[pods.indexOf(other)] ?? 0) - (counted[pods.indexOf(one)] ?? 0),
    )
    if (most === undefined) throw new Error('no webhook runs')
    return most
  }

  async function answersOf(podName: string): Promise<number> {
    const samples = e2e === undefined ? undefined : await samplesOf(e2e, podName)
    return samples?.sum('vnode_profile_admissions_total', { resource: 'pods' }) ?? 0
  }

  async function version(): Promise<string | undefined> {
    return (await e2e?.find(SECRET))?.metadata.resourceVersion
  }

  /** Gives the leader something to write. */
  async function spoil(): Promise<string | undefined> {
    const body = { data: { 'ca.key': Buffer.from('rubbish').toString('base64') } }
    const contentType = 'application/merge-patch+json'
    const secret = await e2e?.kube.request<KubeObject>({ method: 'PATCH', path: SECRET, body, contentType })
    return secret?.metadata.resourceVersion
  }
}

interface ContainerStatuses {
  readonly status: {
    readonly containerStatuses?: readonly { readonly ready: boolean; readonly restartCount: number }[]
  }
}
