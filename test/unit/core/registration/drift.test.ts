import t from 'tap'
import {
  type RegistrationSpec,
  renderConfiguration,
} from '../../../../src/core/registration/configuration.ts'
import {
  bundleOf,
  driftOf,
  entriesOf,
  isOurs,
  isTrusting,
  mergeInjected,
} from '../../../../src/core/registration/drift.ts'

const spec: RegistrationSpec = {
  name: 'vnode-profile',
  target: { kind: 'service', namespace: 'vnode-system', name: 'webhook', port: 443 },
  installNamespace: 'vnode-system',
  excludedNamespaces: ['b', 'kube-system', 'a'],
  failurePolicy: 'Ignore',
  timeoutSeconds: 2,
  rulesNamespace: 'kube-system',
  rulesName: 'eci-profile',
  hasMatchConditions: true,
  injectFrom: undefined,
}
const owner = { name: 'vnode-profile-helper', uid: 'u' }
const wanted = renderConfiguration('mutating', spec, { owner, bundle: 'PEM' })
const injected = renderConfiguration('mutating', { ...spec, injectFrom: 'a/b' }, { owner, bundle: undefined })

/** The configuration as the API server gives it, after an edit. */
function edited(edit: (copy: Copy) => void, of: object = wanted): unknown {
  const copy = JSON.parse(JSON.stringify(of)) as Copy
  edit(copy)
  return copy
}

interface Copy {
  metadata: Record<string, unknown>
  webhooks: Record<string, unknown>[]
}

const first = (change: Record<string, unknown>) => (copy: Copy) => {
  copy.webhooks[0] = { ...copy.webhooks[0], ...change }
}

const CASES: Readonly<Record<string, readonly [actual: unknown, drift: readonly string[]]>> = {
  'the same': [edited(() => {}), []],
  'members in another order': [
    edited(copy => {
      copy.webhooks = copy.webhooks.map(entry => Object.fromEntries(Object.entries(entry).reverse()))
    }),
    [],
  ],
  'labels and annotations of others': [
    edited(copy => {
      Object.assign(copy.metadata, { labels: { a: 'b' }, annotations: { c: 'd' }, resourceVersion: '7' })
    }),
    [],
  ],
  'another owner beside ours': [
    edited(copy => {
      copy.metadata.ownerReferences = [{ uid: 'x' }, { uid: 'u' }]
    }),
    [],
  ],
  'a field that nobody here knows': [edited(first({ futureField: true })), []],
  'another caBundle': [
    edited(first({ clientConfig: { ...wanted.webhooks[0]?.clientConfig, caBundle: 'AAAA' } })),
    ['caBundle of pods.vnode-profile.io was changed'],
  ],
  'no clientConfig': [
    edited(first({ clientConfig: undefined })),
    ['clientConfig of pods.vnode-profile.io was changed', 'caBundle of pods.vnode-profile.io was changed'],
  ],
  'a matchLabels beside our expressions': [
    edited(
      first({
        namespaceSelector: { ...(wanted.webhooks[0]?.namespaceSelector as object), matchLabels: { a: 'b' } },
      }),
    ),
    ['namespaceSelector of pods.vnode-profile.io was changed'],
  ],
  'rules in another order': [
    edited(first({ rules: [{ operations: ['UPDATE', 'CREATE'] }] })),
    ['rules of pods.vnode-profile.io was changed'],
  ],
  'a condition': [
    edited(first({ matchConditions: [{ name: 'a', expression: 'false' }] })),
    ['matchConditions of pods.vnode-profile.io was changed'],
  ],
  'an entry missing and one too many': [
    edited(copy => {
      copy.webhooks[1] = { name: 'x.y.z' }
    }),
    ['entry daemonsets.vnode-profile.io is missing', 'entry x.y.z is not ours'],
  ],
  'no owner': [
    edited(copy => {
      copy.metadata.ownerReferences = []
    }),
    ['it has lost its owner'],
  ],
  'nothing of a configuration': [
    { kind: 'Status' },
    [
      'it has lost its owner',
      'entry pods.vnode-profile.io is missing',
      'entry daemonsets.vnode-profile.io is missing',
      'entry probe.vnode-profile.io is missing',
    ],
  ],
}

for (const [name, [actual, drift]] of Object.entries(CASES))
  t.test(`drift: ${name}`, async t => t.strictSame(driftOf(wanted, actual), drift))

t.test('an injected caBundle is no drift, and is kept when all entries are replaced', async t => {
  const actual = edited(
    first({ clientConfig: { ...injected.webhooks[0]?.clientConfig, caBundle: 'AAAA' } }),
    injected,
  )
  t.strictSame(driftOf(injected, actual), [])
  t.strictSame(
    driftOf(
      injected,
      edited(copy => delete copy.metadata.annotations, injected),
    ),
    ['annotation cert-manager.io/inject-ca-from is not a/b'],
  )
  const [pods, probe] = mergeInjected(injected, actual)
  t.match(pods?.clientConfig, { caBundle: 'AAAA', service: { path: '/mutate/pods' } })
  t.notOk('caBundle' in (probe?.clientConfig ?? {}))
  t.match(mergeInjected(wanted, actual)[0]?.clientConfig, { caBundle: Buffer.from('PEM').toString('base64') })
})

t.test('ours is what has our labels, or was written by our manager', async t => {
  const written = (manager: string) => ({ metadata: { labels: {}, managedFields: [{ manager }, null] } })
  t.equal(isOurs(wanted, 'us'), true)
  t.equal(isOurs(written('us'), 'us'), true)
  t.equal(isOurs(written('kubectl'), 'us'), false)
  t.equal(isOurs({ metadata: { labels: { 'app.kubernetes.io/name': 'vnode-profile' } } }, 'us'), false)
})

t.test('whom to trust is said if the entry of Pods has a bundle', async t => {
  t.equal(isTrusting(wanted), true)
  t.equal(isTrusting(injected), false)
  t.equal(isTrusting(edited(first({ name: 'other.example.com' }))), false)
  t.equal(isTrusting(undefined), false)
})

t.test('entries and their bundles are read from whatever is there', async t => {
  t.strictSame([...entriesOf({ webhooks: [{ name: 'a' }, 7, null, {}] }).keys()], ['a', ''])
  t.equal(bundleOf({ clientConfig: { caBundle: Buffer.from('PEM').toString('base64') } }), 'PEM')
  t.equal(bundleOf({}), '')
})

t.test('system namespaces, our own and the listed ones are excluded, each once', async t => {
  t.match(wanted.webhooks[0]?.namespaceSelector, {
    matchExpressions: [{ operator: 'NotIn', values: ['a', 'b', 'kube-system', 'vnode-system'] }],
  })
})

t.test('without matchConditions no ConfigMap is sent to us', async t => {
  const old = renderConfiguration(
    'validating',
    { ...spec, hasMatchConditions: false },
    { owner, bundle: 'PEM' },
  )
  t.strictSame(
    old.webhooks.map(({ name }) => name),
    ['selectors.vnode-profile.io'],
  )
})

t.test('failurePolicy is for Pods: DaemonSets and rules are always let through, the probe never', async t => {
  const policies = (kind: 'mutating' | 'validating') =>
    renderConfiguration(kind, { ...spec, failurePolicy: 'Fail' }, { owner, bundle: 'PEM' }).webhooks.map(
      ({ name, failurePolicy }) => `${name} ${failurePolicy}`,
    )
  t.strictSame(policies('mutating'), [
    'pods.vnode-profile.io Fail',
    'daemonsets.vnode-profile.io Ignore',
    'probe.vnode-profile.io Fail',
  ])
  t.strictSame(policies('validating'), ['selectors.vnode-profile.io Ignore', 'rules.vnode-profile.io Ignore'])
})
