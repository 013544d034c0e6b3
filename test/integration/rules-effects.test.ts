/** Effects that the apiserver would refuse on a Pod: refused with their rule, so that no Pod ever is. */
import t from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { isPlaced, rulesOn, tryPod } from '../helpers/placements.ts'
import { makePod } from '../helpers/pods.ts'
import { registerWebhook } from '../helpers/registration.ts'
import { installSelectorCrd, setRules, setSelector } from '../helpers/rules.ts'
import { startTestWebhook } from '../helpers/webhook.ts'

interface Effect {
  readonly annotations?: Readonly<Record<string, unknown>>
  readonly labels?: Readonly<Record<string, unknown>>
}

const COST = 'controller.kubernetes.io/pod-deletion-cost'
const cost = (value: unknown): Effect => ({ annotations: { [COST]: value } })
const big = (bytes: number) => ({ annotations: { 'example.com/big': 'x'.repeat(bytes) } })

/** Refused by the apiserver on a Pod of anybody, and so by us in a rule. */
const REFUSED: Readonly<Record<string, readonly [effect: Effect, says: RegExp]>> = {
  'a deletion cost in words': [cost('cheap'), /deletion cost is a whole number.*\(found "cheap"\)/],
  'a deletion cost with a plus sign': [cost('+5'), /without a plus sign.*\(found "\+5"\)/],
  'a deletion cost with leading zeros': [cost('007'), /leading zeros/],
  'a deletion cost with a fraction': [cost('1.5'), /whole number/],
  'a deletion cost beyond 32 bits': [cost('2147483648'), /to 2147483647/],
  'a label value with a blank and an exclamation mark': [
    { labels: { a: 'no good!' } },
    /label value.*"no good!"/,
  ],
  'a label value of 64 characters': [{ labels: { a: 'x'.repeat(64) } }, /at most 63 characters/],
  'a label key with a blank': [{ labels: { 'a b': 'c' } }, /key's name holds only/],
  'a label key with a prefix in upper case': [{ labels: { 'Example.com/a': 'b' } }, /prefix is a DNS name/],
  'an annotation key with two slashes': [{ annotations: { 'a/b/c': 'd' } }, /at most one '\/'/],
  'an annotation key without a name': [{ annotations: { 'a/': 'b' } }, /name that is not empty/],
  '300 KiB of annotations': [
    big(300 * 1024),
    /are 307215 bytes together; the apiserver refuses .* more than 262144/,
  ],
}

/** Fine for the apiserver, but they would break the controller or the platform that owns the key. */
const OWNED: Readonly<Record<string, readonly [effect: Effect, says: RegExp]>> = {
  'a label that ReplicaSets select by': [{ labels: { 'pod-template-hash': 'a' } }, /pod-template-hash/],
  'a label that Jobs select by': [
    { labels: { 'batch.kubernetes.io/job-name': 'a' } },
    /batch\.kubernetes\.io/,
  ],
  'an annotation that ECI writes': [
    { annotations: { 'k8s.aliyun.com/eci-instance-id': 'a' } },
    /eci-instance-id/,
  ],
  'a list as a value': [{ annotations: { a: ['b'] } }, /must be a string \(found \["b"\]\)/],
  'null as a value': [{ annotations: { a: null } }, /must be a string \(found null\)/],
}

/** What the vendor's own samples have: not strings, but no doubt about what is meant. */
const CONVERTED: Readonly<Record<string, readonly [effect: string, stored: Effect]>> = {
  'a deletion cost that is a number': [`{"annotations": {"${COST}": -1000}}`, cost('-1000')],
  'an annotation value 7': ['{"annotations": {"a": 7}}', { annotations: { a: '7' } }],
  'an annotation value true': ['{"annotations": {"a": true}}', { annotations: { a: 'true' } }],
  'a version that looks like a number': ['{"annotations": {"a": 1.10}}', { annotations: { a: '1.10' } }],
  'a number beyond what a double holds': [
    '{"annotations": {"a": 12345678901234567890}}',
    { annotations: { a: '12345678901234567890' } },
  ],
  'a label value 5': ['{"labels": {"b": 5}}', { labels: { b: '5' } }],
  'a label value false': ['{"labels": {"b": false}}', { labels: { b: 'false' } }],
}

const objectSelector = { matchLabels: { app: 'web' } }
const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  const webhook = await startTestWebhook(t, { controlPlane })
  await webhook.ready()
  await registerWebhook(t, controlPlane, webhook)
  const send = () => tryPod(controlPlane, 'default', { labels: { app: 'web' } })
  const eventAbout = async ({ metadata }: KubeObject): Promise<string> => {
    const path = `/api/v1/namespaces/${metadata.namespace}/events?fieldSelector=involvedObject.name%3D${metadata.name}`
    const isIt = ({ reason, involvedObject }: KubeObject) =>
      reason === 'RulesRefused' && JSON.stringify(involvedObject).includes(`"${metadata.resourceVersion}"`)
    const events = await controlPlane.waitForAll(path, events => events.some(isIt))
    return String(events.find(isIt)?.message)
  }

  for (const [what, [effect]] of Object.entries(REFUSED)) {
    t.test(`the apiserver refuses a Pod with ${what}`, async t => {
      const metadata = { ...makePod().metadata, ...effect }
      const path = '/api/v1/namespaces/default/pods?dryRun=All'
      t.equal((await controlPlane.request('POST', path, { body: { ...makePod(), metadata } })).status, 422)
    })
  }

  for (const [what, [effect, says]] of Object.entries({ ...REFUSED, ...OWNED })) {
    t.test(`an edit with ${what} in an effect is refused, told, and no Pod suffers`, async t => {
      await setRules(controlPlane, [{ name: 'good', objectSelector }])
      await webhook.inForce('good')
      const bad = { name: 'bad', objectSelector, effect }
      const edit = await setRules(controlPlane, [{ name: 'new', objectSelector }, bad])
      t.match(
        await eventAbout(edit),
        /^data\.selectors is not applied: line \d+, column \d+: rule "bad": \[1\]\.effect/,
      )
      t.match(await eventAbout(edit), says)
      t.equal(rulesOn(await send()), 'good')
    })
  }

  for (const [index, [what, [effect, stored]]] of Object.entries(CONVERTED).entries()) {
    t.test(`${what} in an effect is read as the string that was typed, and told`, async t => {
      const from = webhook.log.length
      const selector = JSON.stringify(objectSelector)
      await setRules(
        controlPlane,
        `[{"name": "r${index}", "objectSelector": ${selector}, "effect": ${effect}}]`,
      )
      const line = await webhook.logged('rules accepted, with advice', {}, from)
      t.match(line.problems, [/^line 1, column \d+: rule "r\d": .*Put it in quotes/])
      await webhook.inForce(`r${index}`)
      const { metadata } = await send()
      t.match(metadata, stored)
    })
  }

  t.test(
    'with no last good rules, rules with a wrong effect are left out alone, and all of them told',
    async t => {
      const namespace = await controlPlane.namespace(t)
      const bad = Object.values({ ...REFUSED, ...OWNED }).map(([effect], index) => ({
        name: `bad-${index}`,
        objectSelector,
        effect,
      }))
      const first = { name: 'first', objectSelector, effect: { labels: { 'example.com/first': 'yes' } } }
      const last = { name: 'last', objectSelector, effect: cost(-5) }
      const place = { namespace, name: 'rules' }
      const edit = await setRules(controlPlane, [first, ...bad, last], place)
      const options = {
        rulesNamespace: namespace,
        rulesName: 'rules',
        settings: { installNamespace: namespace },
      }
      const fresh = await startTestWebhook(t, { controlPlane, ...options })
      await fresh.ready()
      await fresh.inForce('first', 'last')
      const { problems } = await fresh.logged(
        'rules refused; there are no older rules to keep, so the valid ones of these are in force',
      )
      const told = new Set(JSON.stringify(problems).match(/bad-\d+/g))
      t.equal(told.size, bad.length)
      t.match(
        await eventAbout(edit),
        /; there are no older rules to keep, so the valid ones of these are in force$/,
      )
      t.equal((await fresh.metrics()).sum('vnode_profile_rules_refused', { origin: 'ConfigMap' }), bad.length)
    },
  )

  t.test('a Selector with a wrong effect is left out alone, one with a number is not', async t => {
    await installSelectorCrd(t, controlPlane, { hasSchema: false })
    await setRules(controlPlane, [{ name: 'good', objectSelector }])
    const select = (name: string, effect: object) =>
      setSelector(controlPlane, {
        name,
        namespace: 'default',
        spec: { objectLabels: objectSelector, policy: { virtualNodeOnly: {} }, effect, priority: 1 },
      })
    const bad = Object.entries({ ...REFUSED, ...OWNED })
    for (const [index, [what, [effect, says]]] of bad.entries()) {
      const edit = await select(`bad-${index}`, effect)
      t.match(await eventAbout(edit), says, what)
      t.match(
        await eventAbout(edit),
        /^the Selector is not applied: rule "default\/bad-.*; all other rules stay in force$/,
      )
    }
    await webhook.inForce('good')
    t.equal((await webhook.metrics()).sum('vnode_profile_rules_refused', { origin: 'Selector' }), bad.length)
    await select('number', cost(-1000))
    await webhook.inForce('default/number', 'good')
    t.match(await send(), { metadata: { annotations: { [COST]: '-1000' } } })
  })

  t.test('annotations that are too many only together are left out; the Pod goes all the same', async t => {
    const rules = ['a', 'b'].map(name => ({
      name,
      objectSelector,
      effect: { annotations: { [`example.com/${name}`]: 'x'.repeat(200 * 1024) } },
    }))
    await setRules(controlPlane, rules)
    await webhook.inForce('a', 'b')
    const pod = await send()
    t.equal(isPlaced(pod), true)
    t.match(pod.metadata.annotations, { 'vnode-profile.io/warnings': 'annotations-too-large' })
    const brought = await tryPod(controlPlane, 'default', { labels: { app: 'web' }, ...big(255 * 1024) })
    t.equal(isPlaced(brought), true, 'also one that has many of its own')
  })
}
