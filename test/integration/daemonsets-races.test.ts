/** What others do to a DaemonSet between a command's reading and its writing, each at the worst moment. */
import t, { type Test } from 'tap'
import type { DaemonSetFacts } from '../../src/core/daemonset/daemon-set.ts'
import { planFence, planUnfence } from '../../src/core/daemonset/plan.ts'
import { FIELD_MANAGER } from '../../src/core/names.ts'
import { DEFAULT_SETTINGS } from '../../src/core/settings.ts'
import { VnodeSet } from '../../src/core/vnode/vnode-set.ts'
import type { ApiRequest, KubeClient } from '../../src/kube/api.ts'
import { connect } from '../../src/kube/client.ts'
import { changeDaemonSet } from '../../src/kube/daemonsets.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { APPLY, Daemons, EVERYTHING, FENCE, FENCE_KEY, REQUIRED, required } from '../helpers/daemons.ts'
import { makeDaemonSet } from '../helpers/pods.ts'

const LINUX = { key: 'kubernetes.io/os', operator: 'In', values: ['linux'] }
const OTHER = { key: 'example.com/other', operator: 'DoesNotExist' }
const AFFINITY = '/spec/template/spec/affinity'
const EXPRESSIONS = `${AFFINITY}/nodeAffinity/${REQUIRED}/nodeSelectorTerms/0/matchExpressions`

interface Managed {
  readonly metadata: { readonly managedFields: readonly { readonly manager: string }[] }
}

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  const client = await connect({ kubeconfig: controlPlane.kubeconfigPath, userAgent: 'test' })
  t.teardown(() => client.close())
  const environment = { settings: DEFAULT_SETTINGS, vnodes: new VnodeSet() }
  const fence = (one: DaemonSetFacts) => planFence(one, { environment })
  const manifest = (affinity: Record<string, unknown>) =>
    makeDaemonSet({ pod: { spec: { tolerations: EVERYTHING, affinity } } })
  const open = async (t: Test) => {
    const daemons = new Daemons(controlPlane, await controlPlane.namespace(t))
    await daemons.make(manifest(required({ matchExpressions: [LINUX] })))
    const ref = { namespace: daemons.namespace, name: 'app' }
    const edit = (body: unknown, contentType = 'application/json-patch+json') =>
      controlPlane.ask('PATCH', `${daemons.path}/app`, { body, contentType })
    return { daemons, ref, edit }
  }
  /** Does that right before the patch with this number. */
  const before = (number: number, intrude: () => Promise<unknown>): Pick<KubeClient, 'request'> => {
    let patches = 0
    return {
      request: async <T>(request: ApiRequest): Promise<T> => {
        if (request.method === 'PATCH') patches += 1
        if (request.method === 'PATCH' && patches === number) await intrude()
        return await client.request<T>(request)
      },
    }
  }
  const managers = async (daemons: Daemons) => {
    const { metadata } = await controlPlane.ask<Managed>('GET', `${daemons.path}/app`)
    return metadata.managedFields.map(({ manager }) => manager)
  }
  const termsOf = async (daemons: Daemons) => (await daemons.get()).spec.template.spec.affinity

  t.test('managers that move about while ownership is given up', async t => {
    const { daemons, ref } = await open(t)
    // Whoever applies comes first in the list, so that every index is another one.
    const apply = () =>
      controlPlane.ask('PATCH', `${daemons.path}/app?fieldManager=somebody`, {
        body: { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: { name: 'app', labels: { a: 'b' } } },
        contentType: APPLY,
      })
    t.match(await changeDaemonSet(before(2, apply), ref, { plan: fence }), { kind: 'changed' })
    const left = await managers(daemons)
    t.ok(left.includes('somebody'), 'it was in between')
    t.notOk(left.includes(FIELD_MANAGER), 'nothing is ours')
  })

  t.test('a run that was cut off before it gave up ownership is ended by the next', async t => {
    for (const { first, plan, code } of [
      { first: fence, plan: fence, code: 'fenced' },
      { first: planUnfence, plan: planUnfence, code: 'not-ours' },
    ]) {
      const { daemons, ref } = await open(t)
      if (first === planUnfence) await changeDaemonSet(client, ref, { plan: fence })
      const cutOff = before(2, () => Promise.reject(new Error('cut off')))
      await t.rejects(changeDaemonSet(cutOff, ref, { plan: first }), { message: 'cut off' })
      t.ok((await managers(daemons)).includes(FIELD_MANAGER))
      t.match(await changeDaemonSet(client, ref, { plan, isDryRun: true }), { kind: 'leave', code })
      t.ok((await managers(daemons)).includes(FIELD_MANAGER), 'a dry run changes nothing')
      t.match(await changeDaemonSet(client, ref, { plan }), { kind: 'leave', code })
      t.notOk((await managers(daemons)).includes(FIELD_MANAGER), code)
    }
  })

  t.test('an expression that is put before ours while it is taken away', async t => {
    const { daemons, ref, edit } = await open(t)
    await changeDaemonSet(client, ref, { plan: fence })
    const insert = () => edit([{ op: 'add', path: `${EXPRESSIONS}/0`, value: OTHER }])
    t.match(await changeDaemonSet(before(1, insert), ref, { plan: planUnfence }), { kind: 'changed' })
    t.strictSame(await termsOf(daemons), required({ matchExpressions: [OTHER, LINUX] }))
  })

  t.test('terms that are taken away while they are fenced', async t => {
    const { daemons, ref, edit } = await open(t)
    const strip = () => edit([{ op: 'remove', path: AFFINITY }])
    t.match(await changeDaemonSet(before(1, strip), ref, { plan: fence }), { kind: 'changed' })
    t.strictSame(await termsOf(daemons), required({ matchExpressions: [FENCE] }))
  })

  t.test('a change that the API server does not want is told, not tried again', async t => {
    const { daemons, ref } = await open(t)
    let plans = 0
    const plan = (one: DaemonSetFacts) => {
      plans += 1
      const planned = fence(one)
      const wrong = { op: 'add', path: '/spec/template/spec/dnsPolicy', value: 'Nowhere' } as const
      return planned.kind === 'change' ? { ...planned, patch: [...planned.patch, wrong] } : planned
    }
    await t.rejects(changeDaemonSet(client, ref, { plan }), { status: 422, message: /dnsPolicy/ })
    t.equal(plans, 1)
    t.equal((await daemons.get()).metadata.annotations?.[FENCE_KEY], undefined)
  })
}
