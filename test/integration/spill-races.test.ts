/** What happens to a Pod between the decision about it and the patch: no harm, and the right next step. */
import t, { type Test } from 'tap'
import { VnodeError } from '../../src/core/errors.ts'
import type { ApiRequest } from '../../src/kube/api.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import type { StoredPod } from '../helpers/placed-pods.ts'
import { PodStory, vnodeTolerations } from '../helpers/pod-story.ts'
import { makeContainer, makePod, type PodOverrides } from '../helpers/pods.ts'
import { setRules } from '../helpers/rules.ts'
import { TestSpiller } from '../helpers/spiller.ts'
import { startRealNode, startVnode } from '../helpers/vnode.ts'

const RULES = [
  {
    name: 'web',
    objectSelector: { matchLabels: { tier: 'web' } },
    policy: { normalNodePrefer: {} },
    effect: { labels: { 'billing.example.com/runs-on': 'eci' } },
  },
]
const MERGE = { contentType: 'application/merge-patch+json' }
const TIMEOUT = { timeout: 15_000 }
const POLICIES = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies'

const controlPlane = await controlPlaneOrSkip(t, { scheduler: true, controllerManager: true })

if (controlPlane !== undefined) {
  await startRealNode(controlPlane, { name: 'real-1', cpu: '2' })
  const vnode = await startVnode(controlPlane)
  await setRules(controlPlane, RULES)
  /** By the Pod's name, what happens just before its first patch is sent. */
  const planted = new Map<string, (request: ApiRequest) => Promise<unknown>>()
  const spiller = await TestSpiller.start(t, {
    controlPlane,
    name: 'races',
    onPatch: async request => {
      const name = request.path.slice(request.path.lastIndexOf('/') + 1)
      const happen = planted.get(name)
      planted.delete(name)
      await happen?.(request)
    },
  })

  /** Makes a Pod that is to spill, and has something happen to it first. */
  async function scene(
    t: Test,
    name: string,
    more: PodOverrides,
    happen: (path: string, request: ApiRequest) => unknown,
  ) {
    if (controlPlane === undefined) throw new Error('no control plane')
    const namespace = await controlPlane.namespace(t)
    const story = await PodStory.follow(t, controlPlane, namespace)
    const pods = `/api/v1/namespaces/${namespace}/pods`
    const path = `${pods}/${name}`
    const { promise, resolve } = Promise.withResolvers<void>()
    planted.set(name, async request => {
      try {
        await happen(path, request)
      } finally {
        resolve()
      }
    })
    const spec = { containers: [makeContainer({ cpu: '10' })], ...more.spec }
    const body = makePod({ name, labels: { tier: 'web' }, ...more, spec })
    await controlPlane.ask('POST', pods, { body })
    await promise
    return { namespace, path, story }
  }
  const waitFor = (path: string, isWanted: (pod: StoredPod) => boolean) =>
    controlPlane.waitFor<StoredPod>(path, isWanted, TIMEOUT)
  /** Another Pod, made after all that, spills: so nothing is stuck, and whatever was to happen to the first has happened. */
  const goesOn = async (namespace: string) => {
    const body = makePod({
      name: 'after',
      labels: { tier: 'web' },
      spec: { containers: [makeContainer({ cpu: '10' })] },
    })
    await controlPlane.ask('POST', `/api/v1/namespaces/${namespace}/pods`, { body })
    await waitFor(`/api/v1/namespaces/${namespace}/pods/after`, pod => vnodeTolerations(pod) === 1)
  }

  t.test('deleted: nothing more is done', async t => {
    const { namespace, path } = await scene(t, 'deleted', {}, path =>
      controlPlane.ask('DELETE', path, { body: { gracePeriodSeconds: 0 } }),
    )
    await spiller.metric('pod_patches_total', { purpose: 'spill', outcome: 'gone' }, 1)
    await goesOn(namespace)
    t.equal((await controlPlane.request('GET', path)).status, 404)
  })

  t.test('deleted, and made anew under the same name: the new one is decided about for itself', async t => {
    const { namespace, path, story } = await scene(t, 'anew', {}, async path => {
      await controlPlane.ask('DELETE', path, { body: { gracePeriodSeconds: 0 } })
      const body = makePod({
        name: 'anew',
        labels: { tier: 'api' },
        spec: { containers: [makeContainer({ cpu: '10' })] },
      })
      await controlPlane.ask('POST', path.slice(0, path.lastIndexOf('/')), { body })
    })
    await goesOn(namespace)
    t.equal(vnodeTolerations(await controlPlane.ask<StoredPod>('GET', path)), 0)
    t.equal(story.spills('anew'), 0)
  })

  t.test('bound to a real node: it stays as it is', async t => {
    const { namespace, path } = await scene(t, 'bound', {}, path =>
      controlPlane.ask('POST', `${path}/binding`, {
        body: { metadata: { name: 'bound' }, target: { apiVersion: 'v1', kind: 'Node', name: 'real-1' } },
      }),
    )
    await spiller.metric('pod_patches_total', { purpose: 'spill', outcome: 'changed' }, 1)
    await goesOn(namespace)
    t.equal(vnodeTolerations(await controlPlane.ask<StoredPod>('GET', path)), 0)
  })

  t.test('edited: read again, decided again, patched on top of the edit', async t => {
    const { path, story } = await scene(t, 'edited', {}, path =>
      controlPlane.ask('PATCH', path, { body: { metadata: { annotations: { by: 'somebody' } } }, ...MERGE }),
    )
    const pod = await waitFor(path, pod => vnodeTolerations(pod) === 1)
    t.equal(pod.metadata.annotations?.by, 'somebody')
    await waitFor(path, ({ spec }) => spec.nodeName === vnode.name)
    t.equal(story.spills('edited'), 1)
  })

  t.test('edited so that the patch does not apply any more, which is a 422 too: the same', async t => {
    const { path } = await scene(t, 'reshaped', { annotations: { a: 'b' } }, path =>
      controlPlane.ask('PATCH', path, { body: { metadata: { annotations: { a: null } } }, ...MERGE }),
    )
    await waitFor(path, pod => vnodeTolerations(pod) === 1)
  })

  t.test('edited so that no rule matches any more: left alone', async t => {
    const { namespace, path } = await scene(t, 'relabelled', {}, path =>
      controlPlane.ask('PATCH', path, { body: { metadata: { labels: { tier: 'api' } } }, ...MERGE }),
    )
    await goesOn(namespace)
    t.equal(vnodeTolerations(await controlPlane.ask<StoredPod>('GET', path)), 0)
  })

  t.test('the answer is lost: found done when it is read again, and told once', async t => {
    const { namespace, path, story } = await scene(
      t,
      'unanswered',
      {},
      async (path, { body, contentType }) => {
        await controlPlane.ask('PATCH', path, { body, contentType: contentType ?? '' })
        throw new VnodeError('NETWORK', 'a test has cut the connection')
      },
    )
    await spiller.event(namespace, 'unanswered', 'Spilled')
    await waitFor(path, ({ spec }) => spec.nodeName === vnode.name)
    t.equal(story.spills('unanswered'), 1)
    await goesOn(namespace)
  })

  t.test('refused by a policy: given up with an Event, and the others go on', async t => {
    const refusal = {
      failurePolicy: 'Fail',
      matchConstraints: {
        resourceRules: [
          { apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], operations: ['UPDATE'] },
        ],
      },
      matchConditions: [{ name: 'it', expression: "object.metadata.name.startsWith('refused')" }],
      validations: [
        {
          expression:
            'object.spec.?tolerations.orValue([]).size() == oldObject.spec.?tolerations.orValue([]).size()',
          message: 'a test says no',
        },
      ],
    }
    const name = 'refuses'
    await controlPlane.ask('POST', POLICIES, { body: { metadata: { name }, spec: refusal } })
    await controlPlane.ask('POST', `${POLICIES.replace('policies', 'policybindings')}`, {
      body: { metadata: { name }, spec: { policyName: name, validationActions: ['Deny'] } },
    })
    t.teardown(async () => {
      await controlPlane.request('DELETE', `${POLICIES.replace('policies', 'policybindings')}/${name}`)
      await controlPlane.request('DELETE', `${POLICIES}/${name}`)
    })
    // In force when it refuses what the spiller is going to try.
    const { namespace } = await scene(t, 'refused', {}, async path => {
      const body = [{ op: 'add', path: '/spec/tolerations/-', value: { key: 'x', operator: 'Exists' } }]
      const isRefused = async () => {
        const query = `${path}?dryRun=All`
        const { status } = await controlPlane.request('PATCH', query, {
          body,
          contentType: 'application/json-patch+json',
        })
        return status === 422
      }
      for (let tries = 0; !(await isRefused()); tries += 1) if (tries > 1000) throw new Error('never refused')
    })
    t.match(
      await spiller.event(namespace, 'refused', 'SpillRefused'),
      /rule web would change it.*a test says no/,
    )
    await spiller.metric('refused_pods_total', { rule: 'web' }, 1)
    await goesOn(namespace)
    const { items } = await controlPlane.ask<{ items: StoredPod[] }>(
      'GET',
      `/api/v1/namespaces/${namespace}/pods`,
    )
    t.equal(vnodeTolerations(items.find(({ metadata }) => metadata.name === 'refused') as StoredPod), 0)
  })
}
