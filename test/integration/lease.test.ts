import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { KubeClient } from '../../src/kube/api.ts'
import { connect } from '../../src/kube/client.ts'
import { LeaderElector, type LeaderElectorOptions, leaseIdentity } from '../../src/kube/lease.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { now } from '../helpers/leaders.ts'
import { Diary } from '../helpers/reflectors.ts'
import { applyObject } from '../helpers/webhook-rights.ts'

type Lease = KubeObject & {
  spec: {
    holderIdentity?: string
    leaseDurationSeconds?: number
    leaseTransitions?: number
    acquireTime?: string
    renewTime?: string
    preferredHolder?: string
  }
}

const leases = (namespace: string) => `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`

const MERGE = 'application/merge-patch+json'

/** Short, and still long beside the pauses of a busy machine. */
const TIMES = { leaseDurationMs: 3000, renewDeadlineMs: 2000, retryPeriodMs: 300 }

const makeClient = async (t: Test, kubeconfig: string): Promise<KubeClient> => {
  const client = await connect({ kubeconfig, userAgent: 'vnode-profile/0 (integration test)' })
  t.teardown(() => client.close())
  return client
}

/** An elector in this process that writes its diary. */
function stand(t: Test, client: KubeClient, options: Partial<LeaderElectorOptions> & { namespace: string }) {
  const diary = new Diary()
  const elector = new LeaderElector({
    client,
    name: 'helper',
    identity: leaseIdentity('test'),
    ...TIMES,
    onStarted: term => diary.add(`leads ${term.number}`),
    onStopped: reason => diary.add(`stopped: ${reason}`),
    onError: error => diary.add(`error: ${error.message}`),
    onNewLeader: identity => diary.add(`follows ${identity}`),
    ...options,
  })
  t.teardown(() => elector.stop())
  elector.start()
  return { elector, diary }
}

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  const admin = await makeClient(t, controlPlane.kubeconfigPath)

  t.test('one leads from the start to the stop, and the Lease says so', async t => {
    const namespace = await controlPlane.namespace(t)
    const path = `${leases(namespace)}/helper`
    const { elector, diary } = stand(t, admin, { namespace, identity: 'a' })
    await diary.until('leads 1')
    const lease = await controlPlane.ask<Lease>('GET', path)
    t.match(lease.spec, { holderIdentity: 'a', leaseDurationSeconds: 3, leaseTransitions: 1 })
    t.match(lease.spec.renewTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
    const renewedAfter = Date.parse(String(lease.spec.renewTime)) - Date.parse(String(lease.spec.acquireTime))
    t.ok(renewedAfter >= 0 && renewedAfter < 60_000, 'acquired and renewed in one go')
    await controlPlane.ask('PATCH', path, {
      body: { metadata: { labels: { team: 'red' } } },
      contentType: MERGE,
    })
    const labelled = await controlPlane.ask<Lease>('GET', path)
    const renewed = await controlPlane.waitFor<Lease>(
      path,
      ({ spec }) => (spec.renewTime ?? '') > (labelled.spec.renewTime ?? ''),
    )
    t.match(renewed, { metadata: { labels: { team: 'red' } }, spec: { acquireTime: lease.spec.acquireTime } })
    t.equal(elector.isLeader, true)
    t.match((await controlPlane.kubectl(['get', 'lease', '-n', namespace])).stdout, /helper +a /)
    await elector.stop()
    t.match((await controlPlane.ask<Lease>('GET', path)).spec, {
      holderIdentity: '',
      leaseDurationSeconds: 1,
    })
    t.strictSame(diary.lines, ['follows a', 'leads 1', 'stopped: stopped'])
  })

  const races: [string, number, (namespace: string, name: string) => Promise<unknown>][] = [
    ['that does not exist', 10, async () => {}],
    [
      'that was given back',
      10,
      (namespace, name) =>
        controlPlane.ask('POST', leases(namespace), {
          body: { metadata: { name }, spec: { holderIdentity: '', leaseTransitions: 8 } },
        }),
    ],
    [
      'that runs out',
      3,
      (namespace, name) =>
        controlPlane.ask('POST', leases(namespace), {
          body: {
            metadata: { name },
            spec: { holderIdentity: 'dead', leaseDurationSeconds: 1, leaseTransitions: 8 },
          },
        }),
    ],
  ]
  for (const [name, rounds, prepare] of races) {
    t.test(`of twenty that race for a Lease ${name} exactly one leads`, async t => {
      const namespace = await controlPlane.namespace(t)
      const clients = await Promise.all(
        Array.from({ length: 20 }, () => makeClient(t, controlPlane.kubeconfigPath)),
      )
      for (let round = 0; round < rounds; round += 1) {
        const name = `race-${round}`
        await prepare(namespace, name)
        const options = { namespace, name, leaseDurationMs: 15_000, renewDeadlineMs: 10_000, random: () => 0 }
        const racers = clients.map((client, i) => stand(t, client, { ...options, identity: `r${i}` }))
        const { spec } = await controlPlane.waitFor<Lease>(`${leases(namespace)}/${name}`, ({ spec }) =>
          /^r\d/.test(spec?.holderIdentity ?? ''),
        )
        await Promise.all(racers.map(({ diary }) => diary.until(`follows ${spec.holderIdentity}`)))
        const stories = racers.map(({ diary }) => diary.lines.filter(line => line !== 'follows dead').join())
        const winner = racers.findIndex(({ elector }) => elector.isLeader)
        t.equal(`r${winner}`, spec.holderIdentity)
        t.equal(stories.filter(story => story.includes('leads')).length, 1)
        t.strictSame(
          stories.filter((story, i) => i !== winner && story !== `follows r${winner}`),
          [],
        )
        await Promise.all(racers.filter((_, i) => i !== winner).map(({ elector }) => elector.stop()))
        await racers[winner]?.elector.stop()
      }
    })
  }

  t.test('whoever stops makes room within a second', async t => {
    const namespace = await controlPlane.namespace(t)
    const first = stand(t, admin, { namespace, leaseDurationMs: 15_000, renewDeadlineMs: 10_000 })
    await first.diary.until('leads 1')
    const second = stand(t, admin, { namespace, identity: 'b' })
    await controlPlane.waitFor(`${leases(namespace)}/helper`, () => true)
    await delay(TIMES.retryPeriodMs)
    t.equal(second.elector.isLeader, false)
    const start = now()
    await first.elector.stop()
    const given = now() - start
    await second.diary.until('leads 2')
    const taken = now() - start
    t.comment(`given back after ${given.toFixed(0)} ms, taken after ${taken.toFixed(0)} ms`)
    t.ok(taken < 1000, `${taken}`)
  })

  t.test('a leader outlives a restart of the apiserver within its deadline', async t => {
    const namespace = await controlPlane.namespace(t)
    const times = { leaseDurationMs: 30_000, renewDeadlineMs: 25_000, retryPeriodMs: 300 }
    const { elector, diary } = stand(t, admin, { namespace, ...times })
    await diary.until('leads 1')
    await controlPlane.stopApiserver()
    await delay(1000)
    const before = diary.lines.length
    t.ok(before > 2 && elector.isLeader, 'it has told of failures and leads')
    await controlPlane.startApiserver()
    const path = `${leases(namespace)}/helper`
    const { spec } = await controlPlane.ask<Lease>('GET', path)
    await controlPlane.waitFor<Lease>(path, lease => lease.spec.renewTime !== spec.renewTime)
    t.equal(elector.isLeader, true)
    t.notOk(diary.lines.some(line => line.startsWith('stopped')))
  })

  t.test(
    'a leader stops by itself when the apiserver is away, and one leads again when it is back',
    async t => {
      const namespace = await controlPlane.namespace(t)
      const first = stand(t, admin, { namespace })
      await first.diary.until('leads 1')
      const second = stand(t, await makeClient(t, controlPlane.kubeconfigPath), {
        namespace,
        onStarted: ({ number }) => first.diary.add(`leads ${number}`),
      })
      await delay(500)
      await controlPlane.stopApiserver()
      const away = now()
      await first.diary.until('stopped: not renewed within 2 s')
      const after = now() - away
      t.ok(after < TIMES.renewDeadlineMs + 300, `${after}`)
      await delay(TIMES.leaseDurationMs)
      t.notOk(first.elector.isLeader || second.elector.isLeader)
      await controlPlane.startApiserver()
      await first.diary.until('leads 2')
      t.not(first.elector.isLeader, second.elector.isLeader)
    },
  )

  t.test('an apiserver that hangs costs the lead, and no more than that', async t => {
    const namespace = await controlPlane.namespace(t)
    const { elector, diary } = stand(t, admin, { namespace })
    await diary.until('leads 1')
    controlPlane.pauseApiserver()
    t.teardown(() => controlPlane.resumeApiserver())
    const paused = now()
    await diary.until('stopped: not renewed within 2 s')
    t.ok(now() - paused < TIMES.renewDeadlineMs + 300)
    t.ok(now() - paused > TIMES.renewDeadlineMs - TIMES.retryPeriodMs * 1.2 - 300)
    controlPlane.resumeApiserver()
    await diary.until('leads 2')
    t.equal(elector.isLeader, true)
  })

  t.test('a Lease that is edited or deleted under its leader ends the term', async t => {
    const namespace = await controlPlane.namespace(t)
    const path = `${leases(namespace)}/helper`
    const { diary } = stand(t, admin, { namespace })
    await diary.until('leads 1')
    const edit = (spec: object) => controlPlane.ask('PATCH', path, { body: { spec }, contentType: MERGE })
    await edit({ holderIdentity: 'somebody', leaseDurationSeconds: 1 })
    await diary.until('stopped: the Lease is held by somebody')
    await diary.until('leads 2')
    await controlPlane.ask('DELETE', path)
    await diary.until('stopped: the Lease was deleted')
    await diary.until('leads 3')
    t.match((await controlPlane.ask<Lease>('GET', path)).spec, { leaseTransitions: 3 })
  })

  const rights: [string, string[], { isThere: boolean; isEnough: boolean; name?: string }][] = [
    [
      'get, patch and create of the one Lease are enough',
      ['get', 'patch', 'create'],
      { isThere: false, isEnough: true },
    ],
    ['get and patch are enough where it exists', ['get', 'patch'], { isThere: true, isEnough: true }],
    ['without create it is not made', ['get', 'patch'], { isThere: false, isEnough: false }],
    ['without patch it is not taken', ['get', 'create'], { isThere: true, isEnough: false }],
    ['without get it is not looked at', ['patch', 'create'], { isThere: true, isEnough: false }],
    [
      'rights to another Lease are none',
      ['get', 'patch', 'create'],
      { isThere: false, isEnough: false, name: 'other' },
    ],
  ]
  for (const [index, [name, verbs, { isThere, isEnough, name: resource = 'helper' }]] of rights.entries()) {
    t.test(`rights: ${name}`, async t => {
      const namespace = await controlPlane.namespace(t)
      const user = `candidate-${index}`
      const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`
      const common = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: user } }
      const rules = [
        { apiGroups: ['coordination.k8s.io'], resources: ['leases'], resourceNames: [resource], verbs },
      ]
      await applyObject(controlPlane, `${rbac}/roles/${user}`, { ...common, kind: 'Role', rules })
      await applyObject(controlPlane, `${rbac}/rolebindings/${user}`, {
        ...common,
        kind: 'RoleBinding',
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: user },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
      })
      if (isThere)
        await controlPlane.ask('POST', leases(namespace), { body: { metadata: { name: 'helper' } } })
      const client = await makeClient(t, await controlPlane.kubeconfig({ user }))
      const errors: string[] = []
      const refused = Promise.withResolvers<void>()
      const { elector, diary } = stand(t, client, {
        namespace,
        onError: error => {
          errors.push(error.message)
          // The first may come before the authorizer knows the new binding.
          if (errors.length === 5) refused.resolve()
        },
      })
      if (!isEnough) {
        await refused.promise
        t.match(errors.at(-1), /: 403 leases.coordination.k8s.io "helper" is forbidden/)
        t.equal(elector.isLeader, false)
        return
      }
      await diary.until('leads 1')
      await elector.stop()
      const lease = await controlPlane.ask<Lease>('GET', `${leases(namespace)}/helper`)
      t.equal(lease.spec.holderIdentity, '')
    })
  }

  t.test('a namespace that comes late is waited for', async t => {
    const namespace = `late-${process.pid}`
    const { diary } = stand(t, admin, { namespace })
    await new Promise<void>(resolve => {
      const timer = setInterval(() => {
        if (!diary.lines.some(line => /404 namespaces "late-\d+" not found/.test(line))) return
        clearInterval(timer)
        resolve()
      }, 20)
    })
    await controlPlane.ask('POST', '/api/v1/namespaces', { body: { metadata: { name: namespace } } })
    await diary.until('leads 1')
  })
}
