import { gzipSync } from 'node:zlib'
import t from 'tap'
import { BODY_LIMIT } from '../../../src/webhook/app.ts'
import { DEEPEST_NESTING, parseJsonBody } from '../../../src/webhook/json-body.ts'
import { makePod } from '../../helpers/pods.ts'
import {
  DAEMONSETS,
  makePodReview,
  makeReviewApp,
  operationsOf,
  PODS,
  type ReviewApp,
  RULES,
} from '../../helpers/review-app.ts'

const MB = 1024 * 1024
const RULE_LIST = [{ name: 'to-eci', objectSelector: { matchLabels: { eci: 'true' } } }]
const review = () => makePodReview(makePod({ labels: { eci: 'true' } }))
const text = () => JSON.stringify(review())

/** An array in an array in an array, so many times. */
const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
/** A review whose deepest member is so many levels down. */
function nestedReview(levels: number): string {
  const withHole = JSON.stringify(makePodReview({ hole: 'here' }))
  return withHole.replace('"here"', nested(levels - 3))
}

type Sent = Parameters<ReviewApp['request']>
const post = (payload: string | Buffer, headers: Record<string, string> = {}): Sent => [
  'POST',
  PODS,
  { payload, headers },
]

const REFUSED: Readonly<Record<string, readonly [sent: Sent, status: number, message: RegExp]>> = {
  'GET of a route': [['GET', PODS], 404, /there is no GET \/mutate\/pods/],
  'PUT of a review': [['PUT', PODS, { payload: text() }], 404, /there is no PUT/],
  'OPTIONS of a route': [['OPTIONS', PODS], 404, /there is no OPTIONS/],
  'a path that is none': [['POST', '/mutate', { payload: text() }], 404, /there is no POST \/mutate"/],
  'a path with a slash too many': [['POST', `${PODS}/`, { payload: text() }], 404, /there is no POST/],
  'a path that is no path': [['POST', '/%', { payload: text() }], 400, /not a valid url/],
  'a path of other case': [['POST', '/Mutate/Pods', { payload: text() }], 404, /there is no POST/],
  'no body': [['POST', PODS], 400, /not an AdmissionReview/],
  'an empty body': [post(''), 400, /not JSON/],
  'a body of white space': [post('\n'), 400, /not JSON/],
  'a form': [post('a=b', { 'content-type': 'application/x-www-form-urlencoded' }), 415, /[Mm]edia/],
  'a text': [post(text(), { 'content-type': 'text/plain' }), 415, /[Mm]edia/],
  'a content type that is none': [post(text(), { 'content-type': 'json' }), 415, /[Mm]edia/],
  'protocol buffers': [
    post('k8s\0', { 'content-type': 'application/vnd.kubernetes.protobuf' }),
    415,
    /[Mm]edia/,
  ],
  'no JSON': [post('{"apiVersion":'), 400, /not JSON/],
  'JSON with a comment': [post(`// a review\n${text()}`), 400, /not JSON/],
  'two reviews': [post(`${text()}\n${text()}`), 400, /not JSON/],
  'a byte order mark': [post(`\uFEFF${text()}`), 400, /not JSON/],
  'UTF-16': [post(Buffer.from(text(), 'utf16le')), 400, /not JSON/],
  'a gzipped body': [post(gzipSync(text()), { 'content-encoding': 'gzip' }), 415, /content-encoding gzip/],
  'nesting over the limit': [post(nestedReview(DEEPEST_NESTING + 1)), 400, /nests more than 512 levels/],
  'nesting far over the limit': [post(nested(1_000_000)), 400, /nests more than 512 levels/],
  'nesting that never ends': [post('{"a":'.repeat(1_000_000)), 400, /nests more than 512 levels/],
  'a body just over the limit': [post(' '.repeat(BODY_LIMIT + 1)), 413, /too large/],
  'a body of 8.1 MB': [post(padded(8.1 * MB)), 413, /too large/],
  'a list': [post('[]'), 400, /not an AdmissionReview/],
  null: [post('null'), 400, /not an AdmissionReview/],
  'another kind of object': [post('{"apiVersion":"v1","kind":"Pod"}'), 400, /not an AdmissionReview/],
  'a review without a request': [post('{"apiVersion":"admission.k8s.io/v1"}'), 400, /no request with a uid/],
  'a review without a uid': [
    post(text().replace(/"uid":"[^"]*"/, '"other":1')),
    400,
    /no request with a uid/,
  ],
  'a review whose uid is empty': [post(text().replace(/"uid":"[^"]*"/, '"uid":""')), 400, /with a uid/],
  'a review whose uid is a number': [post(text().replace(/"uid":"[^"]*"/, '"uid":7')), 400, /with a uid/],
}

/** A review of an UPDATE that is about so many bytes long. */
function padded(bytes: number): string {
  const pod = makePod({ annotations: { pad: 'x'.repeat(bytes / 2 - 1000) } })
  return JSON.stringify(makePodReview(pod, { operation: 'UPDATE', oldObject: pod }))
}

for (const [what, [sent, status, message]] of Object.entries(REFUSED)) {
  t.test(`${what}: ${status}, counted once and no review`, async t => {
    const app = await makeReviewApp(t, { rules: RULE_LIST })
    const answer = await app.request(...sent)
    t.equal(answer.status, status)
    t.match(answer.text, message)
    const samples = await app.samples()
    t.equal(samples.sum('vnode_profile_bad_requests_total', { status: String(status) }), 1)
    t.equal(samples.sum('vnode_profile_bad_requests_total'), 1)
    t.equal(samples.sum('vnode_profile_admissions_total') ?? 0, 0)
    t.equal((await app.send(PODS, review())).status, 200, 'the next one is served')
  })
}

t.test('HEAD has no answer of its own either', async t => {
  const app = await makeReviewApp(t)
  t.match(await app.request('HEAD', PODS), { status: 404 })
})

const PASSED: Readonly<Record<string, () => Sent>> = {
  'a charset parameter': () => post(text(), { 'content-type': 'application/json; charset=utf-8' }),
  'capitals in the content type': () => post(text(), { 'content-type': 'Application/JSON' }),
  'a query, as the apiserver adds the timeout': () => ['POST', `${PODS}?timeout=10s`, { payload: text() }],
  'a content encoding that is none': () => post(text(), { 'content-encoding': 'identity' }),
  'nesting at the limit': () => post(nestedReview(DEEPEST_NESTING)),
  'brackets in strings': () => post(text().replace('localhost/app:1', '[{'.repeat(1000))),
  'bytes that are no UTF-8, which become U+FFFD as in Go': () =>
    post(Buffer.from(text().replace('localhost/app:1', '\xFF\xFE'), 'latin1')),
  'white space around': () => post(`\n\t ${text()} \r\n`),
}

for (const [what, sent] of Object.entries(PASSED)) {
  t.test(`${what} is fine`, async t => {
    const app = await makeReviewApp(t, { rules: RULE_LIST })
    const answer = await app.request(...sent())
    t.equal(answer.status, 200)
    t.equal(answer.response?.allowed, true)
  })
}

t.test('an UPDATE of 7.9 MB passes, as does a Pod of 7.9 MB that a rule matches', async t => {
  const app = await makeReviewApp(t, { rules: RULE_LIST })
  const update = padded(7.9 * MB)
  t.ok(update.length > 7.85 * MB)
  t.match(await app.send(PODS, update), { status: 200, response: { allowed: true, patch: undefined } })
  const pod = makePod({ labels: { eci: 'true' }, spec: { hostname: 'x'.repeat(7.9 * MB) } })
  const created = await app.send(PODS, makePodReview(pod))
  t.equal(created.status, 200)
  t.ok(operationsOf(created.response).length > 0)
  t.ok(created.text.length < 5000, 'the answer is small')
})

t.test('the refusal of a path names the paths that there are', async t => {
  const app = await makeReviewApp(t)
  const { text } = await app.request('POST', '/admit')
  t.same(JSON.parse(text), {
    message: 'there is no POST /admit',
    next: `POST an AdmissionReview to ${PODS} or ${DAEMONSETS} or ${RULES}`,
  })
})

t.test('a refusal is logged with its reason and nothing of the body', async t => {
  const app = await makeReviewApp(t)
  await app.send(PODS, '{"secret":"hunter2"')
  t.match(app.log, [
    { level: 'warn', msg: 'request refused', status: 400, path: PODS, error: 'the body is not JSON' },
  ])
  t.notMatch(JSON.stringify(app.log), 'hunter2')
})

t.test('idle connections outlive those of the apiserver, slow ones do not last', async t => {
  const { app } = await makeReviewApp(t)
  // Go's client gives an idle connection up after 90 s; whoever closes first must be the client.
  t.ok(app.server.keepAliveTimeout > 90_000)
  t.equal(app.server.requestTimeout, 30_000)
})

t.test('nesting is counted outside of strings only', async t => {
  const cases: [sentence: string, text: string, isFine: boolean][] = [
    ['at the limit', nested(DEEPEST_NESTING), true],
    ['one more', nested(DEEPEST_NESTING + 1), false],
    ['side by side', `[${Array(2000).fill('[]').join(',')}]`, true],
    ['in a string', JSON.stringify('['.repeat(5000)), true],
    ['in a string after an escaped quote', JSON.stringify(`"${'['.repeat(5000)}`), true],
    ['after a string that ends with a backslash', `["\\\\",${nested(DEEPEST_NESTING)}]`, false],
    ['in a key', `{${JSON.stringify('{'.repeat(5000))}:1}`, true],
  ]
  for (const [sentence, text, isFine] of cases) {
    if (isFine) t.doesNotThrow(() => parseJsonBody(Buffer.from(text)), sentence)
    else t.throws(() => parseJsonBody(Buffer.from(text)), { code: 'BAD_REVIEW', message: /nests/ }, sentence)
  }
})

t.test('a key __proto__ is an ordinary member', async t => {
  const value = parseJsonBody(Buffer.from('{"__proto__":{"isAdmin":true}}'))
  t.equal(Object.getPrototypeOf(value), Object.prototype)
  t.strictSame(Object.keys(value ?? {}), ['__proto__'])
})

t.test('lists of managedFields are left out, and nothing else', async t => {
  const fields = [{ manager: 'a"],"b":[', fieldsV1: { 'k:{"name":"x]}"}': { '.': {} } } }, { manager: '\\' }]
  const cases: [sentence: string, value: unknown, parsed: unknown][] = [
    [
      'of both objects',
      { object: { metadata: { managedFields: fields, name: 'ä' } }, oldObject: { managedFields: fields } },
      { object: { metadata: { managedFields: [], name: 'ä' } }, oldObject: { managedFields: [] } },
    ],
    ['an empty one', { managedFields: [], a: [1] }, { managedFields: [], a: [1] }],
    ['one within another', { managedFields: [{ managedFields: [1] }], a: 1 }, { managedFields: [], a: 1 }],
    ['what is no list', { managedFields: { a: [1] } }, { managedFields: { a: [1] } }],
    ['text about it', { a: '"managedFields":[', b: '\\"managedFields":[{' }, undefined],
  ]
  for (const [sentence, value, parsed = value] of cases)
    t.same(parseJsonBody(Buffer.from(JSON.stringify(value))), parsed, sentence)
  t.throws(() => parseJsonBody(Buffer.from('{"managedFields":[{}')), { code: 'BAD_REVIEW' }, 'a torn one')
})
