/** Bad edits of rules that the apiserver sends to the validating route first: refused before they are stored. */
import t, { type Test } from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import type { KubeObject, KubeStatus } from '../helpers/kube-http.ts'
import { type RegistrationOptions, registerWebhook } from '../helpers/registration.ts'
import { deleteRules, installSelectorCrd, selectorPath, setRules, setSelector } from '../helpers/rules.ts'
import { startTestWebhook } from '../helpers/webhook.ts'

const MERGE_PATCH = 'application/merge-patch+json'
const CONFIGMAPS = '/api/v1/namespaces/kube-system/configmaps'
const CONFIGMAP = `${CONFIGMAPS}/eci-profile`
const EVENTS = '/api/v1/namespaces/kube-system/events?fieldSelector=involvedObject.name%3Deci-profile'

interface Event extends KubeObject {
  reason: string
  message: string
}

const GOOD = [{ name: 'good', objectSelector: { matchLabels: { app: 'web' } } }]

/** Texts of rules that are wrong, each in another way. */
const BAD: Readonly<Record<string, string>> = {
  'that is no JSON': '[\n  {"name": "a"\n   "objectSelector": {}}\n]',
  'with an unknown field': '[{"name": "a",\n  "objectSelectors": {}}]',
  'with several faults in several rules': JSON.stringify(
    [
      { name: 'a', objectSelector: { matchLabels: { app: 'no good!' } } },
      { name: 'b', objectSelector: { matchExpressions: [{ key: 'a', operator: 'In' }] } },
      { effect: { labels: { 'pod-template-hash': 'x' } } },
    ],
    null,
    1,
  ),
  'with more faults than an Event can hold': JSON.stringify(
    Array.from({ length: 50 }, (_, index) => ({ name: `rule-${index}`, policy: { any: {} } })),
  ),
  'with one fault that is longer than an Event': JSON.stringify([{ name: 'a', ['x'.repeat(2000)]: 1 }]),
  'with characters of several bytes': JSON.stringify(
    Array.from({ length: 20 }, () => ({ name: '规则'.repeat(20), policy: { 虚拟节点: {} } })),
  ),
}

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  const webhook = await startTestWebhook(t, { controlPlane })
  await webhook.ready()
  await installSelectorCrd(t, controlPlane, { hasSchema: false })

  const validate = (t: Test, options: RegistrationOptions = {}) =>
    registerWebhook(t, controlPlane, webhook, { mutate: false, validate: true, ...options })
  const patch = (path: string, body: object) =>
    controlPlane.request<KubeObject | KubeStatus>('PATCH', path, { body, contentType: MERGE_PATCH })
  const kubectlPatch = (name: string, data: object) =>
    controlPlane.kubectl([
      '-n',
      'kube-system',
      'patch',
      'configmap',
      name,
      '--type=merge',
      '-p',
      JSON.stringify({ data }),
    ])
  /** What is told about this text where nothing refuses it up front. */
  const eventAfter = async (selectors: string): Promise<string> => {
    const { body } = await patch(CONFIGMAP, { data: { selectors } })
    const version = 'metadata' in body ? body.metadata.resourceVersion : ''
    const isIt = ({ reason, involvedObject }: Event) =>
      reason === 'RulesRefused' && JSON.stringify(involvedObject).includes(`"${version}"`)
    const events = await controlPlane.waitForAll<Event>(EVENTS, events => events.some(isIt))
    return events.find(isIt)?.message ?? ''
  }

  for (const [what, text] of Object.entries(BAD)) {
    t.test(`rules ${what} are refused in the words that the Event would have used`, async t => {
      await setRules(controlPlane, GOOD)
      await webhook.inForce('good')
      const words = (await eventAfter(text)).replace(/; the last good rules stay in force$/, '')
      t.match(words, /^data\.selectors is not applied: line \d+, column \d+: /)
      await setRules(controlPlane, GOOD)
      await validate(t)
      const { code, stderr } = await kubectlPatch('eci-profile', { selectors: text })
      t.equal(code, 1)
      t.ok(stderr.includes(words), stderr)
      t.match(stderr, /admission webhook "rules\.vnode-profile\.io" denied the request/)
      const { body } = await patch(CONFIGMAP, { data: { selectors: text } })
      t.match(body, { code: 422, reason: 'Invalid' })
      await deleteRules(controlPlane)
      await t.rejects(setRules(controlPlane, text), { message: /422/ }, 'a creation too')
    })
  }

  for (const [how, allConfigMaps] of Object.entries({ filters: false, 'does not filter': true })) {
    t.test(`what is not our ConfigMap is let through, where the apiserver ${how} by name`, async t => {
      const namespace = await controlPlane.namespace(t)
      await setRules(controlPlane, GOOD)
      await validate(t, { allConfigMaps })
      const data = { selectors: '[{' }
      const collection = `/api/v1/namespaces/${namespace}/configmaps`
      for (const [path, name] of [
        [CONFIGMAPS, namespace],
        [collection, 'eci-profile'],
      ] as const) {
        t.equal(
          (await controlPlane.request('POST', path, { body: { metadata: { name }, data } })).status,
          201,
        )
        t.equal((await patch(`${path}/${name}`, { data: { selectors: '[{[' } })).status, 200)
      }
      t.equal((await patch(CONFIGMAP, { data })).status, 422, 'ours is not')
      t.equal((await webhook.reviews('rules', 'skipped')) > 0, allConfigMaps)
    })
  }

  t.test(
    'another key can be edited while the rules are bad, which waits for nobody to mend them',
    async t => {
      await setRules(controlPlane, GOOD)
      await patch(CONFIGMAP, { data: { selectors: '[{' } })
      await validate(t)
      t.match(await kubectlPatch('eci-profile', { vSwitchIds: 'vsw-1' }), { code: 0 })
      t.match(
        await kubectlPatch('eci-profile', { selectors: '[{ ' }),
        { code: 1 },
        'but not the rules themselves',
      )
      t.match(await kubectlPatch('eci-profile', { selectors: JSON.stringify(GOOD) }), { code: 0 })
      t.match(await kubectlPatch('eci-profile', { selectors: null }), { code: 0 }, 'rules may be removed')
    },
  )

  t.test('advice comes as a warning, and the edit goes through', async t => {
    await validate(t)
    const rules = [{ ...GOOD[0], effect: { annotations: { 'example.com/count': 7 } } }]
    const { code, stderr } = await kubectlPatch('eci-profile', { selectors: JSON.stringify(rules) })
    t.equal(code, 0)
    t.match(stderr, /^Warning: .*rule "good".*example\.com\/count/)
  })

  const BAD_SPEC = { objectLabels: { matchLabels: { a: 'b' } }, policy: { fair: {}, virtualNodeOnly: {} } }
  const GOOD_SPEC = { objectLabels: { matchLabels: { a: 'b' } }, policy: { fair: {} } }
  const one = (spec: object) => setSelector(controlPlane, { name: 'one', namespace: 'default', spec })
  const ONE = selectorPath({ name: 'one', namespace: 'default' })

  t.test('a bad Selector is refused with the words of its Event', async t => {
    const { metadata } = await one(BAD_SPEC)
    const path = '/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Done'
    const [event] = await controlPlane.waitForAll<Event>(path, ([event]) => event?.reason === 'RulesRefused')
    const words = event?.message.replace('; all other rules stay in force', '') ?? ''
    t.match(words, /^the Selector is not applied: rule "default\/one": spec\.policy: /)
    await controlPlane.ask('DELETE', ONE)
    await validate(t)
    await t.rejects(one(BAD_SPEC), { message: words })
    await one(GOOD_SPEC)
    await t.rejects(one(BAD_SPEC), { message: words })
    t.ok(metadata.uid)
  })

  t.test('what holds up no rule may be changed on a Selector that was bad before', async t => {
    await controlPlane.request('DELETE', ONE)
    await one(BAD_SPEC)
    await patch(ONE, { metadata: { finalizers: ['example.com/hold'] } })
    await validate(t)
    t.equal((await patch(ONE, { metadata: { labels: { a: 'b' } } })).status, 200, 'a label')
    t.equal((await patch(ONE, { spec: { priority: 3 } })).status, 422, 'but not its spec')
    await controlPlane.ask('DELETE', ONE)
    t.equal((await patch(ONE, { metadata: { finalizers: null } })).status, 200, 'the finalizer that holds it')
    await controlPlane.waitForGone(ONE)
  })
}
