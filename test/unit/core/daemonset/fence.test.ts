import t from 'tap'
import { applyOperations, checkFence } from '../../../../src/core/daemonset/check-fence.ts'
import { daemonSetFacts } from '../../../../src/core/daemonset/daemon-set.ts'
import { fenceDaemonSet } from '../../../../src/core/daemonset/fence.ts'
import { recordOf } from '../../../../src/core/daemonset/fence-record.ts'
import { landingOf } from '../../../../src/core/daemonset/landing.ts'
import { unfenceDaemonSet } from '../../../../src/core/daemonset/unfence.ts'
import { makeEnvironment } from '../../../helpers/environments.ts'
import { makeDaemonSet } from '../../../helpers/pods.ts'

const AFFINITY = '/spec/template/spec/affinity'
const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution'
const TERMS = `${AFFINITY}/nodeAffinity/${REQUIRED}/nodeSelectorTerms`
const RECORD = '/metadata/annotations'
const FENCE = { key: 'type', operator: 'NotIn', values: ['virtual-kubelet'] }
const MADE = { nodeSelectorTerms: [{ matchExpressions: [FENCE] }] }
const A = { key: 'kubernetes.io/os', operator: 'Exists' }
const NAMED = { matchFields: [{ key: 'metadata.name', operator: 'NotIn', values: ['real-1'] }] }
const ANTI = { podAntiAffinity: {} }
const ENVIRONMENT = makeEnvironment()

const facts = (affinity?: unknown, metadata: { annotations?: Record<string, string> } = {}) =>
  daemonSetFacts(
    makeDaemonSet({
      ...metadata,
      pod: {
        spec: {
          tolerations: [{ operator: 'Exists' }],
          ...(affinity === undefined ? {} : { affinity: affinity as Record<string, unknown> }),
        },
      },
    }),
  )
const terms = (...nodeSelectorTerms: object[]) => ({ nodeAffinity: { [REQUIRED]: { nodeSelectorTerms } } })

/** The API server keeps neither members that are null nor empty lists. */
const withoutNothing = (value: unknown) =>
  JSON.parse(JSON.stringify(value), (_key, member) =>
    member === null || (Array.isArray(member) && member.length === 0) ? undefined : member,
  )

interface Case {
  readonly affinity?: unknown
  /** Without that of the record. */
  readonly adds: readonly (readonly [path: string, value: unknown])[]
  readonly record: object
}

const CASES: Readonly<Record<string, Case>> = {
  'no affinity': {
    adds: [[AFFINITY, { nodeAffinity: { [REQUIRED]: MADE } }]],
    record: { terms: [0], created: 'affinity' },
  },
  'affinity that is null': {
    affinity: null,
    adds: [[AFFINITY, { nodeAffinity: { [REQUIRED]: MADE } }]],
    record: { terms: [0], created: 'affinity' },
  },
  'affinity to Pods': {
    affinity: ANTI,
    adds: [[`${AFFINITY}/nodeAffinity`, { [REQUIRED]: MADE }]],
    record: { terms: [0], created: 'nodeAffinity' },
  },
  'preferred node affinity': {
    affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } },
    adds: [[`${AFFINITY}/nodeAffinity/${REQUIRED}`, MADE]],
    record: { terms: [0] },
  },
  'one term': {
    affinity: terms({ matchExpressions: [A] }),
    adds: [[`${TERMS}/0/matchExpressions/-`, FENCE]],
    record: { terms: [0] },
  },
  'three terms, one of which has it': {
    affinity: terms({ matchExpressions: [A] }, { matchExpressions: [FENCE, A] }, NAMED),
    adds: [
      [`${TERMS}/0/matchExpressions/-`, FENCE],
      [`${TERMS}/2/matchExpressions`, [FENCE]],
    ],
    record: { terms: [0, 2] },
  },
  'a term with matchFields only': {
    affinity: terms(NAMED),
    adds: [[`${TERMS}/0/matchExpressions`, [FENCE]]],
    record: { terms: [0] },
  },
  'a term with matchFields and an empty list': {
    affinity: terms({ ...NAMED, matchExpressions: [] }),
    adds: [[`${TERMS}/0/matchExpressions/-`, FENCE]],
    record: { terms: [0] },
  },
  'an empty term stays empty': {
    affinity: terms({}, { matchExpressions: [A] }, { matchExpressions: [], matchFields: null }),
    adds: [[`${TERMS}/1/matchExpressions/-`, FENCE]],
    record: { terms: [1] },
  },
}

for (const [name, { affinity, adds, record }] of Object.entries(CASES)) {
  t.test(name, async t => {
    const daemonSet = facts(affinity)
    const fenced = fenceDaemonSet(daemonSet, { by: 'admission' })
    const text = JSON.stringify({ by: 'admission', ...record })
    t.strictSame(
      fenced.patch,
      [...adds, [RECORD, { 'vnode-profile.io/fence': text }] as const].map(([path, value]) => ({
        op: 'add',
        path,
        value,
      })),
    )
    const after = checkFence(daemonSet, fenced, ENVIRONMENT)
    t.strictSame(recordOf(after), fenced.record)
    t.equal(landingOf(after.pod, ENVIRONMENT).code, 'fenced')
    t.strictSame(fenceDaemonSet(after, { by: 'command' }).patch, [], 'nothing more the second time')
    const undone = unfenceDaemonSet(after)
    if (undone.code !== 'unfenced') throw new Error(undone.code)
    const { spec, metadata } = applyOperations(after.object, undone.patch)
    t.strictSame(withoutNothing(spec), withoutNothing(daemonSet.object.spec))
    t.match(metadata, { annotations: {} })
  })
}

t.test('the record', async t => {
  const record = (annotations: Record<string, string>) => {
    const daemonSet = facts(undefined, { annotations })
    return fenceDaemonSet(daemonSet, { by: 'command' }).patch.slice(1)
  }
  const text = '{"by":"command","terms":[0],"created":"affinity"}'
  t.strictSame(record({ note: 'mine' }), [
    { op: 'add', path: '/metadata/annotations/vnode-profile.io~1fence', value: text },
  ])
  t.strictSame(
    record({ 'vnode-profile.io/fence': 'forged' }),
    [{ op: 'add', path: '/metadata/annotations/vnode-profile.io~1fence', value: text }],
    'replaces what somebody made up',
  )
  t.strictSame(record({ note: 'x'.repeat(256 * 1024 - 10) }), [], 'is left out where it does not fit')
})

t.test('what is no record', async t => {
  const read = (text: string) => recordOf({ annotations: new Map([['vnode-profile.io/fence', text]]) })
  for (const text of [
    '',
    'true',
    '[]',
    '{"by":"me","terms":[0]}',
    '{"by":"command","terms":[-1]}',
    '{"by":"command","terms":[0.5]}',
    '{"by":"command","terms":[1e99]}',
  ])
    t.equal(read(text), undefined, text)
  t.strictSame(read('{"by":"command","terms":["0",1],"created":"spec"}'), { by: 'command', terms: [1] })
})

t.test('an edit of a fenced DaemonSet', async t => {
  const stored = (record: object, ...nodeSelectorTerms: object[]) =>
    facts(terms(...nodeSelectorTerms), {
      annotations: { 'vnode-profile.io/fence': JSON.stringify({ by: 'command', ...record }) },
    })
  const B = { matchExpressions: [{ key: 'b', operator: 'Exists' }] }
  const recorded = (before: ReturnType<typeof facts>, ...nodeSelectorTerms: object[]) =>
    fenceDaemonSet(facts(terms(...nodeSelectorTerms)), { by: 'admission', before }).record
  t.strictSame(
    recorded(stored({ terms: [0] }, { matchExpressions: [A, FENCE] }), { matchExpressions: [A] }),
    { by: 'command', terms: [0] },
    'that takes it away',
  )
  t.strictSame(
    recorded(stored({ terms: [0] }, { matchExpressions: [A, FENCE] }), B, { matchExpressions: [A, FENCE] }),
    { by: 'command', terms: [0, 1] },
    'that moves a term of ours',
  )
  t.strictSame(
    recorded(
      stored({ terms: [1] }, { matchExpressions: [A, FENCE] }, { matchExpressions: [FENCE, A] }),
      { matchExpressions: [A, FENCE] },
      B,
    ),
    { by: 'command', terms: [1] },
    "that keeps the author's",
  )
  t.strictSame(
    recorded(
      stored({ terms: [0], created: 'affinity' }, { matchExpressions: [FENCE] }),
      { matchExpressions: [FENCE] },
      B,
    ),
    { by: 'command', terms: [0, 1], created: 'affinity' },
    'that adds a term to what we made',
  )
})

t.test('shapes that no API server sends', async t => {
  const of = (affinity: unknown) => () => fenceDaemonSet(facts(affinity), { by: 'admission' })
  t.throws(of([]), { code: 'BAD_REVIEW' })
  t.throws(of({ nodeAffinity: 'none' }), { code: 'BAD_REVIEW' })
  t.throws(of({ nodeAffinity: { [REQUIRED]: { nodeSelectorTerms: {} } } }), { code: 'BAD_REVIEW' })
  t.throws(of(terms([])), { code: 'BAD_REVIEW' })
  t.throws(of(terms({ matchFields: NAMED.matchFields, matchExpressions: {} })), { code: 'BAD_REVIEW' })
  t.throws(() => fenceDaemonSet(daemonSetFacts({}), { by: 'admission' }), { code: 'BAD_REVIEW' })
  t.throws(
    () => fenceDaemonSet(daemonSetFacts({ ...facts().object, metadata: undefined }), { by: 'admission' }),
    { code: 'BAD_REVIEW' },
  )
})

t.test('a patch that is in doubt is not sent', async t => {
  const daemonSet = facts(terms({ matchExpressions: [A] }))
  const fenced = fenceDaemonSet(daemonSet, { by: 'admission' })
  const wrong = (patch: readonly object[]) => () =>
    checkFence(daemonSet, { ...fenced, patch: patch as typeof fenced.patch }, ENVIRONMENT)
  t.throws(wrong([]), { message: /would be "lands"/ })
  t.throws(wrong([{ op: 'replace', path: AFFINITY, value: {} }]), { message: /has replace/ })
  t.throws(wrong([{ op: 'add', path: '/spec/template/spec/hostNetwork', value: true }]), {
    message: /has add/,
  })
  t.throws(
    wrong([{ op: 'add', path: AFFINITY, value: { nodeAffinity: { [REQUIRED]: MADE } } }]),
    { message: /another than before/ },
    "it replaces the author's term",
  )
  t.throws(wrong([{ op: 'add', path: `${TERMS}/0/matchExpressions/7`, value: FENCE }]), {
    message: 'a patch does not apply: OPERATION_VALUE_OUT_OF_BOUNDS',
  })
  t.throws(
    wrong([
      {
        op: 'add',
        path: `${TERMS}/0/matchExpressions/-`,
        value: { ...FENCE, values: ['virtual-kubelet', 'x'] },
      },
    ]),
    { message: /is not found again/ },
  )
})
