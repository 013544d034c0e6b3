/**
 * Many Pods, and leaders that come to grief in the midst of them. Three minutes on a quiet machine, set by the Lease and the rate: four
 * seconds for the next to lead, since what a leader begins with has to fit in on a busy one, and slow enough that it is killed at its work.
 */
import t, { type Test } from 'tap'
import { BINDING_MANAGER, SPILL_MANAGER } from '../../src/core/names.ts'
import { type AuditedWrite, AuditLog } from '../helpers/audit-log.ts'
import { buildBundle } from '../helpers/bundle.ts'
import { isAlive } from '../helpers/child-process.ts'
import { type ControlPlane, controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { freePorts } from '../helpers/free-ports.ts'
import { HeldReviews } from '../helpers/held-reviews.ts'
import { prepareHelper } from '../helpers/helper.ts'
import { leaderOf, leasePath, startHelperProcess } from '../helpers/helper-processes.ts'
import type { StoredPod } from '../helpers/placed-pods.ts'
import { createPods } from '../helpers/pod-crowd.ts'
import { vnodeTolerations } from '../helpers/pod-story.ts'
import { makeContainer, makePod } from '../helpers/pods.ts'
import { memoryOf } from '../helpers/process-memory.ts'
import { Random } from '../helpers/random.ts'
import { setRules } from '../helpers/rules.ts'
import { SpillLedger } from '../helpers/spill-ledger.ts'
import { startRealNode, startVnode } from '../helpers/vnode.ts'
import { holds } from '../helpers/webhook.ts'
import { applyObject } from '../helpers/webhook-rights.ts'

const NAME = 'crowded'
const COST = 'controller.kubernetes.io/pod-deletion-cost'
const RULE = {
  name: 'web',
  objectSelector: { matchLabels: { tier: 'web' } },
  policy: { normalNodePrefer: {} },
  effect: { annotations: { [COST]: '-1000' } },
}
/** As admission leaves it. */
const pod = (name: string) =>
  makePod({
    name,
    labels: { tier: 'web' },
    annotations: { 'vnode-profile.io/rules': 'web', 'vnode-profile.io/policy': 'normalNodePrefer' },
    spec: { containers: [makeContainer({ cpu: '1' })] },
  })
const PODS = 2000
const KILLS = 20
const SEED = 5
const LEASE = { duration: '4s', renewDeadline: '3s', retryPeriod: '300ms' }
/** What Node makes of the chart's limit and the image's options: a helper that kept more than that would end, and its Pods be left. */
const HEAP = ['--max-old-space-size=128', '--max-semi-space-size=1']
/** A second, and at once. */
const PACE = ['--spill-rate', '100', '--spill-burst', '10']

interface ManagedPod extends StoredPod {
  metadata: StoredPod['metadata'] & { managedFields?: { manager: string }[] }
}

const audit = AuditLog.ofPodPatches(t)
const controlPlane = await controlPlaneOrSkip(t, {
  scheduler: true,
  apiserverFlags: audit.flags,
  // At its usual rate it would report fifty Pods a second.
  schedulerFlags: ['--kube-api-qps=2000', '--kube-api-burst=2000'],
})

if (controlPlane !== undefined) {
  await startRealNode(controlPlane, { name: 'real-1', cpu: '500m' })
  // Nobody looks at whether the Pods run.
  const vnode = await startVnode(controlPlane, { phase: () => 'Pending' })
  await setRules(controlPlane, [RULE])
  const [webhookPort = 0] = await freePorts(1)
  const kubeconfig = await prepareHelper({ controlPlane, name: NAME, spill: {} })
  const shipped = { program: await buildBundle(t.testdirName), nodeArgs: HEAP }
  const start = (t: Test) =>
    startHelperProcess(t, { name: NAME, kubeconfig, webhookPort, lease: LEASE, args: PACE, shipped })

  t.test('a leader is paused for longer than its Lease, with a write on its way', async t => {
    const { namespace, ledger } = await crowd(t, controlPlane, 300)
    const held = await holdOne(t, controlPlane, `/api/v1/namespaces/${namespace}/pods/app-00100`)
    const onItsWay = held.next()
    const helpers = [start(t), start(t)]
    await leaderOf(helpers, 20_000)
    const write = await onItsWay
    const leader = await leaderOf(helpers, 20_000)
    leader.signal('SIGSTOP')
    // The other begins with that very Pod. A write that is held goes on after thirty seconds by itself, which is late enough.
    await holds(() => ledger.spilledAt.has('app-00100'), 60_000)
    write.release()
    await holds(() => spillsOf(audit, namespace, 409).length > 0, 10_000)
    const [late] = spillsOf(audit, namespace, 409)
    const [done] = spillsOf(audit, namespace, 200).filter(({ key }) => key === late?.key)
    t.equal(late?.key, `${namespace}/app-00100`, 'the late write is refused')
    t.ok((done?.receivedAt ?? '') > (late?.receivedAt ?? '~'), 'it was sent before the one that counts')

    t.ok(ledger.spills.length < 300, 'spills are under way when it wakes')
    leader.signal('SIGCONT')
    await leader.logged('not leading any more')
    await reach(ledger, 300)
    const goesOn = ledger.byTerm.slice(1).some(([first]) => first?.pod === 'app-00100')
    t.ok(goesOn, 'the other went on where the first was')
    t.strictSame(faultsOfOrder(ledger), [])
    await createPods(controlPlane, { namespace, count: 20, from: 300, pod })
    await reach(ledger, 320)
    t.strictSame(twice(spillsOf(audit, namespace, 200)), [], 'no Pod was changed twice')
    t.equal(spillsOf(audit, namespace, 409).length, 1)
    t.strictSame(twice(ledger.spills.map(({ pod }) => ({ key: pod }))), [])
    for (const one of helpers) one.signal('SIGKILL')
    await Promise.all(helpers.map(one => one.exited))
  })

  t.test(`${PODS} Pods, and ${KILLS} leaders killed on the way`, async t => {
    const { namespace, ledger } = await crowd(t, controlPlane, PODS)
    const began = performance.now()
    const random = new Random(SEED)
    // By how many Pods have been let go when it happens; some fall on a leader that has just begun.
    const moments = Array.from({ length: KILLS }, () => random.below(PODS - 100)).sort((a, b) => a - b)
    let helpers = [start(t), start(t)]
    const peaks: number[] = []
    for (const moment of moments) {
      await reach(ledger, moment)
      const leader = await leaderOf(helpers, 20_000)
      peaks.push(memoryOf(leader.pid).peak)
      leader.signal('SIGKILL')
      await leader.exited
      helpers = [...helpers.filter(one => one !== leader), start(t)]
    }
    const left = PODS - ledger.spills.length
    t.ok(left > 0, `${left} Pods were left when the last one was killed`)
    await reach(ledger, PODS)
    t.comment(`${PODS} Pods, ${KILLS} kills: ${((performance.now() - began) / 1000).toFixed(0)} s`)

    const pods = `/api/v1/namespaces/${namespace}/pods`
    const isFinished = ({ spec, metadata }: ManagedPod) =>
      spec.nodeName === vnode.name && metadata.annotations?.[COST] === '-1000'
    const list = async () => (await controlPlane.ask<{ items: ManagedPod[] }>('GET', pods)).items
    await holds(async () => (await list()).every(isFinished), 30_000)
    const found = await list()
    peaks.push(...helpers.map(({ pid }) => memoryOf(pid).peak))

    t.equal(found.length, PODS)
    t.strictSame(found.filter(one => vnodeTolerations(one) !== 1).map(nameOf), [], 'none lost')
    t.strictSame(twice(ledger.spills.map(({ pod }) => ({ key: pod }))), [], 'none let go twice')
    for (const manager of [SPILL_MANAGER, BINDING_MANAGER]) {
      const writes = audit.writesBy(manager).filter(({ key }) => key.startsWith(`${namespace}/`))
      const done = writes.filter(({ code }) => code === 200)
      t.comment(`${manager}: ${done.length} of ${writes.length} patches answered with 200`)
      t.strictSame(twice(done), [], 'no Pod was changed twice')
      const isManaged = ({ metadata }: ManagedPod) =>
        metadata.managedFields?.filter(one => one.manager === manager).length === 1
      t.strictSame(found.filter(one => !isManaged(one)).map(nameOf), [])
    }
    t.ok(ledger.byTerm.length > KILLS / 2, `${ledger.byTerm.length} terms let Pods go`)
    t.strictSame(faultsOfOrder(ledger), [], 'each leader kept to the order of creation')
    t.ok(
      helpers.every(({ pid }) => isAlive(pid)),
      'no helper ran out of memory',
    )
    t.comment(`most memory of a helper: ${Math.max(...peaks).toFixed(0)} MiB`)
    for (const one of helpers) one.signal('SIGKILL')
    await Promise.all(helpers.map(one => one.exited))
  })
}

/** So many Pods that the scheduler has reported as unschedulable, with nobody there to let them go. */
async function crowd(
  t: Test,
  controlPlane: ControlPlane,
  count: number,
): Promise<{ readonly namespace: string; readonly ledger: SpillLedger }> {
  const namespace = await controlPlane.namespace(t)
  const ledger = await SpillLedger.follow(controlPlane, { namespace, lease: leasePath(NAME) })
  t.teardown(() => ledger.stop())
  await createPods(controlPlane, { namespace, count, pod })
  await holds(() => ledger.unschedulableAt.size === count, 60_000)
  return { namespace, ledger }
}

/** From when this resolves on, changes of the Pod at this path can be held. */
async function holdOne(t: Test, controlPlane: ControlPlane, path: string): Promise<HeldReviews> {
  const held = await HeldReviews.start(t, {
    name: 'held-spills',
    resource: 'pods',
    which: { matchConditions: [{ name: 'it', expression: `request.name == '${path.split('/').at(-1)}'` }] },
    apply: (path, object) => applyObject(controlPlane, path, object),
    remove: path => controlPlane.request('DELETE', path),
  })
  const body = { metadata: { labels: { tried: 'yes' } } }
  const contentType = 'application/merge-patch+json'
  await holds(async () => {
    await controlPlane.ask('PATCH', `${path}?dryRun=All`, { body, contentType })
    return held.count > 0
  }, 20_000)
  return held
}

/** Waits until so many Pods have been let go. */
function reach({ spills }: SpillLedger, count: number): Promise<void> {
  return holds(() => spills.length >= count, 60_000).catch(() => {
    throw new Error(`${spills.length} Pods were let go, not ${count}`)
  })
}

function spillsOf(audit: AuditLog, namespace: string, code: number): AuditedWrite[] {
  const writes = audit.writesBy(SPILL_MANAGER)
  return writes.filter(write => write.code === code && write.key.startsWith(`${namespace}/`))
}

function twice(writes: readonly { readonly key: string }[]): string[] {
  const keys = writes.map(({ key }) => key)
  return keys.filter((key, index) => keys.indexOf(key) !== index)
}

/** Pods that were let go after a younger one, under the same leader. Of those of one second, which is all that a Pod tells, by name: so they were created. */
function faultsOfOrder({ byTerm }: SpillLedger): string[] {
  return byTerm.flatMap(spills => {
    const places = spills.map(({ createdAt, pod }) => `${createdAt} ${pod}`)
    return places.filter((place, index) => place < (places[index - 1] ?? ''))
  })
}

function nameOf({ metadata }: StoredPod): string {
  return metadata.name
}
