import t, { type Test } from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { type Placement, placementOf, type StoredPod, sentToVnodes } from '../helpers/placed-pods.ts'
import { makePod } from '../helpers/pods.ts'
import { registerWebhook } from '../helpers/registration.ts'
import { forwardTo, startReviewServer } from '../helpers/review-server.ts'
import { installSelectorCrd, selectorPath, setRules, setSelector } from '../helpers/rules.ts'
import { startTestWebhook, type TestWebhook } from '../helpers/webhook.ts'

const COST = 'controller.kubernetes.io/pod-deletion-cost'
const KIB = 1024

interface Effect {
  readonly annotations?: Readonly<Record<string, unknown>>
  readonly labels?: Readonly<Record<string, unknown>>
}

interface Case {
  readonly effect: Effect
  /** What the edit is refused for. */
  readonly refusal?: RegExp
  /** What is said about an effect that is taken all the same. */
  readonly advice?: RegExp
  readonly stored?: Pick<Partial<Placement>, 'annotations' | 'labels'>
}

const cases: Record<string, Case> = {
  'a deletion cost that is not quoted': {
    effect: { annotations: { [COST]: -1000 } },
    advice: /pod-deletion-cost.*-1000/,
    stored: { annotations: { [COST]: '-1000' } },
  },
  'an annotation that is a number': {
    effect: { annotations: { 'example.com/n': 7 } },
    advice: /example\.com\/n/,
    stored: { annotations: { 'example.com/n': '7' } },
  },
  'a label that is a boolean': {
    effect: { labels: { 'example.com/on': true } },
    advice: /example\.com\/on/,
    stored: { labels: { 'example.com/on': 'true' } },
  },
  'a deletion cost in words': { effect: { annotations: { [COST]: 'cheap' } }, refusal: /"cheap"/ },
  'a deletion cost with a plus sign': { effect: { annotations: { [COST]: '+5' } }, refusal: /"\+5"/ },
  'a deletion cost with leading zeros': { effect: { annotations: { [COST]: '007' } }, refusal: /"007"/ },
  'a deletion cost of more than 32 bits': {
    effect: { annotations: { [COST]: 2 ** 31 } },
    refusal: /2147483648/,
  },
  'a label value with a space and an exclamation mark': {
    effect: { labels: { 'example.com/on': 'no good!' } },
    refusal: /"no good!"/,
  },
  'a label value of 64 characters': {
    effect: { labels: { 'example.com/on': 'x'.repeat(64) } },
    refusal: /63 characters/,
  },
  'a label key with two slashes': { effect: { labels: { 'a/b/c': '' } }, refusal: /'\/'/ },
  'an annotation key with a space': { effect: { annotations: { 'no good': '' } }, refusal: /no good/ },
  'an annotation that is an object': {
    effect: { annotations: { 'example.com/o': { a: 1 } } },
    refusal: /example\.com\/o/,
  },
  '300 KiB of annotations': {
    effect: {
      annotations: { 'example.com/a': 'x'.repeat(150 * KIB), 'example.com/b': 'x'.repeat(150 * KIB) },
    },
    refusal: /bytes together/,
  },
  'a label that ReplicaSets find their Pods by': {
    effect: { labels: { 'pod-template-hash': 'x' } },
    refusal: /pod-template-hash/,
  },
  'an annotation that the apiserver reads': {
    effect: { annotations: { 'kubernetes.io/config.mirror': 'x' } },
    refusal: /config\.mirror/,
  },
}

const LABELS = { wanted: 'yes' }
const objectSelector = { matchLabels: LABELS }
const GOOD = { name: 'good', objectSelector, effect: { annotations: { 'example.com/good': 'yes' } } }
const good = sentToVnodes('good')
const byGood: Placement = {
  ...good,
  labels: LABELS,
  annotations: { ...good.annotations, 'example.com/good': 'yes' },
}

function withEffect(stored: Case['stored'], ...rules: readonly string[]): Placement {
  return {
    ...byGood,
    labels: { ...byGood.labels, ...stored?.labels },
    annotations: { ...byGood.annotations, ...sentToVnodes(...rules).annotations, ...stored?.annotations },
  }
}

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  let webhook: TestWebhook | undefined
  const front = await startReviewServer(t, (review, path) => {
    if (webhook === undefined) throw new Error('no webhook')
    return forwardTo(webhook)(review, path)
  })
  const use = async (t: Test, options: Partial<Parameters<typeof startTestWebhook>[1]> = {}) => {
    webhook = await startTestWebhook(t, { controlPlane, ...options })
    return webhook
  }
  /** Fails the test where the Pod is refused. */
  const store = async (namespace: string, name: string): Promise<Placement> => {
    const body = makePod({ name, labels: LABELS })
    return placementOf(
      await controlPlane.ask<StoredPod>('POST', `/api/v1/namespaces/${namespace}/pods`, { body }),
    )
  }
  const told = async (object: KubeObject): Promise<string> => {
    const { namespace = 'default', uid } = object.metadata
    const path = `/api/v1/namespaces/${namespace}/events?fieldSelector=involvedObject.uid%3D${uid}`
    const [event] = await controlPlane.waitForAll(path, events =>
      events.some(e => e.reason === 'RulesRefused'),
    )
    return String(event?.message)
  }
  const first = await use(t)
  await setRules(controlPlane, [GOOD])
  await first.inForce('good')
  await registerWebhook(t, controlPlane, front)

  t.test('an edit with a wrong effect, last good rules in force: no Pod is refused', async t => {
    for (const [what, { effect, refusal, advice, stored }] of Object.entries(cases)) {
      await t.test(what, async t => {
        const namespace = await controlPlane.namespace(t)
        await setRules(controlPlane, [GOOD])
        await first.inForce('good')
        const from = first.log.length
        await setRules(controlPlane, [
          { ...GOOD, name: 'first' },
          { name: 'edited', objectSelector, effect },
        ])
        if (refusal === undefined) {
          await first.inForce('first', 'edited')
          const { problems } = await first.logged('rules accepted, with advice', {}, from)
          t.match(String(problems), advice)
          t.strictSame(await store(namespace, 'app'), withEffect(stored, 'first', 'edited'))
        } else {
          const { problems } = await first.logged(
            'rules refused; the last good rules stay in force',
            {},
            from,
          )
          t.match(String(problems), refusal)
          t.strictSame(await store(namespace, 'app'), byGood)
        }
        t.equal(await first.reviews('pods', 'error'), 0)
      })
    }
  })

  t.test('the same rules at first start, with no last good ones: the wrong one is left out', async t => {
    for (const [index, [what, { effect, refusal, stored }]] of Object.entries(cases).entries()) {
      await t.test(what, async t => {
        const namespace = await controlPlane.namespace(t)
        const rulesName = `rules-${index}`
        const text = [GOOD, { name: 'wrong', objectSelector, effect }]
        const configMap = await setRules(controlPlane, text, { name: rulesName })
        const installNamespace = `install-${index}`
        const webhook = await use(t, { rulesName, settings: { installNamespace } })
        await webhook.ready()
        if (refusal === undefined) {
          await webhook.inForce('good', 'wrong')
          t.strictSame(await store(namespace, 'app'), withEffect(stored, 'good', 'wrong'))
        } else {
          await webhook.inForce('good')
          t.strictSame(await store(namespace, 'app'), byGood)
          t.match(await told(configMap), refusal)
          t.equal((await webhook.metrics()).sum('vnode_profile_rules_refused', { origin: 'ConfigMap' }), 1)
        }
      })
    }
  })

  t.test('as Selectors that no schema has checked: the wrong one is left out alone', async t => {
    await installSelectorCrd(t, controlPlane, { versions: ['v1beta1'] })
    await setRules(controlPlane, [])
    const namespace = await controlPlane.namespace(t)
    const webhook = await use(t)
    const selector = { namespace, version: 'v1beta1' }
    const spec = { objectLabels: objectSelector, policy: { virtualNodeOnly: {} } }
    const name = `${namespace}/good`
    await setSelector(controlPlane, { ...selector, name: 'good', spec: { ...spec, effect: GOOD.effect } })
    await webhook.inForce(name)
    for (const [index, [what, { effect, refusal, stored }]] of Object.entries(cases).entries()) {
      await t.test(what, async t => {
        const from = webhook.log.length
        const edited = { ...selector, name: `edited-${index}` }
        const made = await setSelector(controlPlane, { ...edited, spec: { ...spec, effect, priority: 1 } })
        const rules = `Selector ${namespace}/edited-${index}`
        if (refusal === undefined) {
          await webhook.logged('rules accepted, with advice', { rules }, from)
          await webhook.inForce(`${namespace}/edited-${index}`, name)
          const { 'example.com/good': _, ...annotations } = withEffect(
            stored,
            `${namespace}/edited-${index}`,
          ).annotations
          t.strictSame(await store(namespace, `pod-${index}`), { ...withEffect(stored), annotations })
        } else {
          await webhook.logged('rules refused; all other rules stay in force', { rules }, from)
          t.match(await store(namespace, `pod-${index}`), { annotations: { 'vnode-profile.io/rules': name } })
          t.match(await told(made), refusal)
        }
        await controlPlane.ask('DELETE', selectorPath(edited))
        await webhook.inForce(name)
      })
    }
    t.equal(await webhook.reviews('pods', 'error'), 0)
  })
}
