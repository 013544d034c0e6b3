import t from 'tap'
import {
  type Answer,
  decodeReview,
  encodeReview,
  REVIEW_VERSIONS,
  uidOf,
} from '../../../../src/core/admission/review.ts'

const UID = '705ab4f5-6393-11e8-b7cc-42010a800002'

function makeReview(
  request: Record<string, unknown> = {},
  apiVersion = 'admission.k8s.io/v1',
): Record<string, unknown> {
  return { kind: 'AdmissionReview', apiVersion, request: { uid: UID, ...request } }
}

for (const version of REVIEW_VERSIONS) {
  t.test(`decodes all of a request in ${version}`, async t => {
    const request = {
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      subResource: 'binding',
      name: 'app',
      namespace: 'team-a',
      operation: 'CREATE',
      dryRun: true,
      object: { spec: {} },
      oldObject: null,
    }
    t.strictSame(decodeReview(makeReview(request, version)), {
      apiVersion: version,
      uid: UID,
      operation: 'CREATE',
      resource: 'pods',
      subResource: 'binding',
      namespace: 'team-a',
      name: 'app',
      isDryRun: true,
      object: { spec: {} },
      oldObject: null,
    })
  })

  t.test(`encodes the answer in ${version}, with the uid of the request`, async t => {
    t.strictSame(JSON.parse(encodeReview(decodeReview(makeReview({}, version)), { allowed: true })), {
      apiVersion: version,
      kind: 'AdmissionReview',
      response: { uid: UID, allowed: true },
    })
  })
}

const NOTHING_SAID = {
  operation: '',
  resource: '',
  subResource: '',
  namespace: '',
  name: '',
  isDryRun: false,
}

const sparse = new Map<string, Record<string, unknown>>([
  ['nothing but the uid', {}],
  [
    'nulls',
    { operation: null, resource: null, subResource: null, namespace: null, name: null, dryRun: null },
  ],
  [
    'members of the wrong type',
    { operation: 1, resource: 'pods', subResource: [], namespace: {}, name: true, dryRun: 'true' },
  ],
  ['a resource whose name is of the wrong type', { resource: { resource: 5 } }],
])

t.test('reads as absent:', async t => {
  for (const [sentence, request] of sparse) t.match(decodeReview(makeReview(request)), NOTHING_SAID, sentence)
})

const refused = new Map<string, [body: unknown, message: RegExp, uid: string | undefined]>([
  ['nothing', [undefined, /is not an AdmissionReview/, undefined]],
  ['null', [null, /is not an AdmissionReview/, undefined]],
  ['text', ['{}', /is not an AdmissionReview/, undefined]],
  ['a list', [[makeReview()], /is not an AdmissionReview/, undefined]],
  ['no version', [{ request: { uid: UID } }, /is not an AdmissionReview/, UID]],
  [
    'another version',
    [makeReview({}, 'admission.k8s.io/v2'), /of admission.k8s.io\/v1 or admission.k8s.io\/v1beta1/, UID],
  ],
  [
    'a version of the wrong type',
    [{ apiVersion: 1, request: { uid: UID } }, /is not an AdmissionReview/, UID],
  ],
  ['no request', [{ apiVersion: 'admission.k8s.io/v1' }, /no request with a uid/, undefined]],
  [
    'a request of the wrong type',
    [{ apiVersion: 'admission.k8s.io/v1', request: 'x' }, /no request with a uid/, undefined],
  ],
  ['no uid', [{ apiVersion: 'admission.k8s.io/v1', request: {} }, /no request with a uid/, undefined]],
  ['an empty uid', [makeReview({ uid: '' }), /no request with a uid/, undefined]],
  ['a uid of the wrong type', [makeReview({ uid: 5 }), /no request with a uid/, undefined]],
])

t.test('refuses', async t => {
  for (const [sentence, [body, message, uid]] of refused) {
    t.throws(() => decodeReview(body), { code: 'BAD_REVIEW', message }, sentence)
    t.equal(uidOf(body), uid, sentence)
  }
})

function responseTo(answer: Answer): Record<string, unknown> {
  return JSON.parse(encodeReview({ apiVersion: 'admission.k8s.io/v1', uid: UID }, answer)).response
}

t.test('a patch is JSON in base64, UTF-8', async t => {
  const patch = [{ op: 'add', path: '/metadata/annotations', value: { note: 'Grüße 😀' } }] as const
  const response = responseTo({ allowed: true, patch })
  t.equal(response.patchType, 'JSONPatch')
  t.strictSame(JSON.parse(Buffer.from(String(response.patch), 'base64').toString()), patch)
})

t.test('an empty patch, and no warnings, are not there at all', async t => {
  t.strictSame(responseTo({ allowed: true, patch: [], warnings: [] }), { uid: UID, allowed: true })
})

t.test('a refusal says why', async t => {
  t.strictSame(responseTo({ allowed: false, message: 'the rules are wrong' }), {
    uid: UID,
    allowed: false,
    status: { code: 422, reason: 'Invalid', message: 'the rules are wrong' },
  })
})

const long = 'x'.repeat(300)
const many = (count: number) => Array.from({ length: count }, (_, index) => `warning ${index}`)

const warnings = new Map<string, [given: string[], sent: string[]]>([
  [
    'few and short ones go as they are',
    [
      ['a', 'b'],
      ['a', 'b'],
    ],
  ],
  ['199 characters are fine', [['x'.repeat(199)], ['x'.repeat(199)]]],
  ['200 are too long', [['x'.repeat(200)], [`${'x'.repeat(198)}…`]]],
  [
    '300 are too long',
    [
      [long, 'b'],
      [`${'x'.repeat(198)}…`, 'b'],
    ],
  ],
  ['no character is halved', [[`${'x'.repeat(197)}😀😀`], [`${'x'.repeat(197)}…`]]],
  ['ten are fine', [many(10), many(10)]],
  [
    'of eleven, nine are told and the rest counted',
    [many(11), [...many(9), '… and 2 more; vnode explain shows all of them']],
  ],
  [
    'of a thousand, nine are told and the rest counted',
    [many(1000), [...many(9), '… and 991 more; vnode explain shows all of them']],
  ],
  [
    'control characters, for which the apiserver would drop it, become a space',
    [['a\n\tb\u0000c\u0085d'], ['a b c d']],
  ],
])

t.test('warnings:', async t => {
  for (const [sentence, [given, sent]] of warnings) {
    const response = responseTo({ allowed: true, warnings: given })
    t.strictSame(response.warnings, sent, sentence)
    t.ok(sent.length <= 10 && sent.every(text => text.length < 200), sentence)
  }
})
