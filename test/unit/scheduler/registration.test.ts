import t, { type Test } from 'tap'
import type { RegistrationSpec } from '../../../src/core/registration/configuration.ts'
import { bundlesOf, Registration } from '../../../src/scheduler/registration.ts'
import { createHelperMetrics } from '../../../src/telemetry/helper-metrics.ts'
import { type Exchange, FakeApi, makeClient } from '../../helpers/fake-api.ts'

const ROOT = '/apis/admissionregistration.k8s.io/v1'
const spec: RegistrationSpec = {
  name: 'ours',
  target: { kind: 'url', url: 'https://127.0.0.1:1' },
  installNamespace: 'vnode-system',
  excludedNamespaces: [],
  failurePolicy: 'Ignore',
  timeoutSeconds: 2,
  rulesNamespace: 'kube-system',
  rulesName: 'eci-profile',
  hasMatchConditions: true,
  injectFrom: undefined,
}
const binding = { owner: { name: 'owner', uid: 'o' }, bundle: 'PEM' }

const EDITORS = [
  { manager: 'vnode-profile-registration', time: '2026-01-03T00:00:00Z' },
  { manager: 'kubectl-edit', time: '2026-01-02T00:00:00Z' },
  { manager: 'helm', time: '2026-01-01T00:00:00Z' },
]

interface Scene {
  readonly api: FakeApi
  readonly registration: Registration
  readonly events: string[]
}

async function startScene(t: Test): Promise<Scene> {
  const api = await FakeApi.start(t)
  const events: string[] = []
  const silent = () => {}
  const registration = new Registration({
    client: makeClient(t, api),
    spec,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    metrics: createHelperMetrics(),
    events: { emit: ({ reason, message }) => events.push(`${reason}: ${message}`) },
  })
  return { api, registration, events }
}

/** What the API server stores of an apply. */
function stored(exchange: Exchange, resourceVersion: string): Record<string, unknown> {
  const object = JSON.parse(exchange.body)
  return { ...object, metadata: { ...object.metadata, uid: 'u', resourceVersion } }
}

/** Both configurations, registered. */
async function register({ api, registration }: Scene) {
  const done = registration.ensure({ mutating: undefined, validating: undefined }, binding)
  const mutating = await api.next()
  const first = stored(mutating, '1')
  mutating.json(first)
  const other = await api.next()
  const second = stored(other, '2')
  other.json(second)
  await done
  return { mutating: first, validating: second }
}

t.test('a first apply carries no version, each later one uid and resourceVersion', async t => {
  const scene = await startScene(t)
  const { api, registration, events } = scene
  const registered = await register(scene)
  t.notMatch(registered.mutating, { metadata: { resourceVersion: undefined } })
  t.strictSame(await registration.ensure(registered, binding), [], 'nothing is written that is right')
  const metadata = { ...Object(registered.mutating.metadata), managedFields: EDITORS }
  const edited = { ...registered, mutating: { ...registered.mutating, metadata, webhooks: [] } }
  const done = registration.ensure(edited, binding)
  const exchange = await api.next()
  t.equal(exchange.method, 'PATCH')
  t.match(exchange.query, { fieldManager: 'vnode-profile-registration', force: 'true' })
  t.match(JSON.parse(exchange.body), { metadata: { uid: 'u', resourceVersion: '1' } })
  exchange.json(stored(exchange, '3'))
  t.strictSame(await done, ['edited'])
  t.match(
    events.at(-1),
    /^RegistrationHealed: .*entry pods.vnode-profile.io is missing.*; last written by kubectl-edit$/,
  )
})

t.test('a write that meets another version is not made, and the edit is told once it is healed', async t => {
  const scene = await startScene(t)
  const { api, registration, events } = scene
  const registered = await register(scene)
  const edited = { ...registered, validating: { ...registered.validating, webhooks: [] } }
  const before = events.length
  const refused = registration.ensure(edited, binding)
  const first = await api.next()
  first.refuse(409, 'Conflict')
  await t.rejects(refused, { message: /: 409 / })
  t.equal(events.length, before)
  const healed = registration.ensure(edited, binding)
  const second = await api.next()
  second.json(stored(second, '4'))
  t.strictSame(await healed, ['edited'])
  t.match(events.at(-1), /^RegistrationHealed/)
})

t.test(
  'where an apply is refused as invalid, all entries are replaced, of the version that was seen',
  async t => {
    const scene = await startScene(t)
    const { api, registration } = scene
    const registered = await register(scene)
    const edited = { ...registered, mutating: { ...registered.mutating, webhooks: [] } }
    const done = registration.ensure(edited, binding)
    const apply = await api.next()
    apply.refuse(422, 'Invalid')
    const replace = await api.next()
    t.equal(replace.headers['content-type'], 'application/json-patch+json')
    const [version, entries] = JSON.parse(replace.body)
    t.strictSame(version, { op: 'replace', path: '/metadata/resourceVersion', value: '1' })
    t.match(entries, { op: 'add', path: '/webhooks', value: [{ name: 'pods.vnode-profile.io' }, {}] })
    replace.json(stored(apply, '5'))
    t.strictSame(await done, ['edited'])
  },
)

t.test('a first apply that is refused as invalid is an error', async t => {
  const { api, registration } = await startScene(t)
  const done = registration.ensure({ mutating: undefined, validating: undefined }, binding)
  const apply = await api.next()
  apply.refuse(422, 'Invalid')
  await t.rejects(done, { message: /: 422 / })
})

t.test('a withdrawal deletes what was seen, and nothing that came since', async t => {
  const scene = await startScene(t)
  const { api, registration, events } = scene
  const registered = await register(scene)
  const done = registration.withdraw({ ...registered, validating: undefined }, 'for a test')
  const exchange = await api.next()
  t.strictSame([exchange.method, exchange.path], ['DELETE', `${ROOT}/mutatingwebhookconfigurations/ours`])
  t.strictSame(JSON.parse(exchange.body), { preconditions: { uid: 'u', resourceVersion: '1' } })
  exchange.json({})
  await done
  t.match(events.at(-1), /^WebhookWithdrawn: .*for a test/)
  const again = registration.ensure({ ...registered, mutating: undefined }, binding)
  const back = await api.next()
  back.json(stored(back, '6'))
  await again
  t.match(events.at(-1), /^WebhookRegistered/, 'nobody else had deleted it')
})

t.test('a bundle of our own that changes is no edit of anybody', async t => {
  const scene = await startScene(t)
  const { api, registration, events } = scene
  const registered = await register(scene)
  const done = registration.ensure(registered, { ...binding, bundle: 'PEM PEM' })
  for (const version of ['7', '8']) {
    const exchange = await api.next()
    exchange.json(stored(exchange, version))
  }
  await done
  t.match(events.slice(-2), [
    /^WebhookUpdated: .*caBundle of pods/,
    /^WebhookUpdated: .*caBundle of selectors/,
  ])
})

t.test('the bundles of all entries are told, of one that has none as well', async t => {
  const { mutating } = await register(await startScene(t))
  t.strictSame(bundlesOf({ mutating, validating: undefined }), ['PEM', 'PEM', 'PEM'])
  t.strictSame(bundlesOf({ mutating: { webhooks: [{ name: 'a' }] }, validating: undefined }), [''])
  t.strictSame(bundlesOf({ mutating: undefined, validating: undefined }), [])
})
