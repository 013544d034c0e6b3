import forge from 'node-forge'
import t from 'tap'
import { accessReviewOf, approvalOf } from '../../../../src/core/csr/access-review.ts'
import { parseCertificateRequest } from '../../../../src/core/csr/certificate-request.ts'
import { decide, signingRequestOf, unauthorised } from '../../../../src/core/csr/decision.ts'
import {
  makeCertificateRequest,
  type RequestOptions,
  SOUND,
  SOUND_USAGES,
} from '../../../helpers/certificate-requests.ts'

const NAME = 'system:vnode:cn-hangzhou.vnd-1'
const TOKEN = {
  username: 'system:bootstrap:abcdef',
  groups: ['system:bootstrappers', 'system:authenticated'],
}
const ITSELF = { username: NAME, groups: ['system:vnodes', 'system:authenticated'] }
const KUBELET = { username: 'system:node:real-1', groups: ['system:nodes', 'system:authenticated'] }

interface Case extends RequestOptions {
  readonly signerName?: string
  readonly usages?: readonly string[]
  readonly requester?: { readonly username: string; readonly groups: readonly string[] }
  readonly pem?: string
  readonly status?: object
  readonly prefix?: string
}

function makeRequest({ signerName, usages, requester = TOKEN, pem, status, prefix: _, ...request }: Case) {
  const text = pem ?? makeCertificateRequest({ ...SOUND, ...request })
  return signingRequestOf({
    metadata: { name: 'csr-1', uid: 'u', resourceVersion: '7' },
    spec: {
      signerName: signerName ?? 'kubernetes.io/kube-apiserver-client',
      usages: usages ?? SOUND_USAGES,
      request: Buffer.from(text).toString('base64'),
      ...requester,
    },
    status,
  })
}

function verdictOf(one: Case) {
  return decide(makeRequest(one), { commonNamePrefix: one.prefix ?? 'system:vnode:' })
}

const SOUND_CASES = new Map<string, [Case, string]>([
  ['the first certificate', [{}, 'nodeclient']],
  ['a renewal', [{ requester: ITSELF }, 'selfnodeclient']],
  ['usages in another order', [{ usages: [...SOUND_USAGES].reverse() }, 'nodeclient']],
  ['a subject in ASCII', [{ textType: forge.asn1.Type.PRINTABLESTRING }, 'nodeclient']],
  ['the looser prefix, with a colon', [{ prefix: 'system:vnode' }, 'nodeclient']],
  [
    'the looser prefix, without one',
    [{ prefix: 'system:vnode', commonName: 'system:vnodes-x' }, 'nodeclient'],
  ],
])

for (const [name, [one, permission]] of SOUND_CASES) {
  t.test(`sound: ${name}`, async t => {
    const verdict = verdictOf(one)
    t.strictSame(verdict, { kind: 'sound', commonName: one.commonName ?? NAME, permission })
  })
}

const REFUSED = new Map<string, [Case, code: string, reason: RegExp]>([
  [
    'another signer',
    [{ signerName: 'kubernetes.io/kube-apiserver-client-kubelet' }, 'signer', /its signer is .*-kubelet/],
  ],
  ['a common name of all VNodes', [{ commonName: 'system:vnodes-x' }, 'common-name', /"system:vnodes-x"/]],
  ['a common name without a Node', [{ commonName: 'system:vnode:' }, 'common-name', /"system:vnode:"/]],
  [
    'a common name that no Node has',
    [{ commonName: 'system:vnode:A B' }, 'common-name', /"system:vnode:A B"/],
  ],
  ['two common names', [{ others: [['2.5.4.3', 'system:admin']] }, 'common-name', /vnd-1, system:admin"/]],
  ['a common name with an invisible end', [{ commonName: `${NAME}\u0000` }, 'common-name', /vnd-1\\u0000"/]],
  ['another organization', [{ organizations: ['system:masters'] }, 'organization', /"system:masters"/]],
  [
    'an organization more',
    [
      { organizations: ['system:vnodes', 'system:masters'] },
      'organization',
      /"system:vnodes, system:masters"/,
    ],
  ],
  ['no organization', [{ organizations: [] }, 'organization', /its organizations are none/]],
  ['more in the subject', [{ others: [['2.5.4.11', 'unit']] }, 'subject', /"2.5.4.11"/]],
  [
    'an alternative name',
    [{ dnsNames: ['kubernetes.default.svc'] }, 'alternative-names', /alternative names/],
  ],
  [
    'an alternative name in a second attribute',
    [{ dnsNames: ['x'], hasTwoAttributes: true }, 'alternative-names', /alternative names/],
  ],
  ['a usage more', [{ usages: [...SOUND_USAGES, 'server auth'] }, 'usages', /server auth/]],
  ['a usage less', [{ usages: ['client auth'] }, 'usages', /"client auth"/]],
  [
    "another VNode's name",
    [
      { requester: ITSELF, commonName: 'system:vnode:cn-hangzhou.vnd-2' },
      'other-vnode',
      /vnd-1 asks for the certificate of "system:vnode:cn-hangzhou.vnd-2"/,
    ],
  ],
])

for (const [name, [one, code, reason]] of REFUSED) {
  t.test(`left alone: ${name}`, async t => {
    t.match(verdictOf(one), { kind: 'refused', refusal: { code, reason } })
  })
}

t.test('of no interest: what asks neither for the name nor for the group of VNodes', async t => {
  const kubelet = { commonName: 'system:node:real-1', organizations: ['system:nodes'], requester: KUBELET }
  t.match(verdictOf(kubelet), { kind: 'foreign', refusal: { code: 'organization' } })
  t.match(verdictOf({ pem: 'no request' }), { kind: 'foreign', refusal: { code: 'unreadable' } })
  t.match(verdictOf({ pem: 'no request', requester: ITSELF }), { kind: 'refused' }, 'but of a VNode it is')
})

t.test('settled: approved, denied, failed or signed', async t => {
  for (const type of ['Approved', 'Denied', 'Failed'])
    t.strictSame(verdictOf({ status: { conditions: [{ type }] } }), { kind: 'settled' }, type)
  t.strictSame(verdictOf({ status: { certificate: 'Q0VSVA==' } }), { kind: 'settled' })
})

t.test('a refusal never carries more than a line of what others wrote', async t => {
  const verdict = verdictOf({ commonName: `system:vnode:${'x'.repeat(9000)}` })
  t.ok(verdict.kind === 'refused' && verdict.refusal.reason.length < 400)
})

t.test('what is read is one request and nothing else', async t => {
  const pem = makeCertificateRequest()
  t.strictSame(parseCertificateRequest(pem), {
    commonNames: [NAME],
    organizations: ['system:vnodes'],
    others: [],
    hasAlternativeNames: false,
  })
  const damaged = [
    '',
    pem + pem,
    `${pem}x`,
    pem.replaceAll('CERTIFICATE REQUEST', 'CERTIFICATE'),
    pem.replace(/\n.{8}/, '\n'),
    makeCertificateRequest({ ...SOUND, textType: forge.asn1.Type.BMPSTRING }),
    makeCertificateRequest({ commonName: '\u{d800}', textType: 4 }),
  ]
  for (const one of damaged)
    t.equal(parseCertificateRequest(one), undefined, JSON.stringify(one.slice(0, 40)))
})

t.test('what no API server would send is nothing of ours', async t => {
  for (const raw of [undefined, null, 7, {}, { spec: [] }, { spec: { request: 7, extra: 1, usages: 'x' } }])
    t.equal(decide(signingRequestOf(raw), { commonNamePrefix: 'system:vnode:' }).kind, 'foreign')
})

t.test('the question for rights, and the approval', async t => {
  const csr = makeRequest({ requester: { ...ITSELF } })
  t.match(accessReviewOf(csr, 'selfnodeclient'), {
    kind: 'SubjectAccessReview',
    spec: {
      user: NAME,
      groups: ['system:vnodes', 'system:authenticated'],
      resourceAttributes: {
        group: 'certificates.k8s.io',
        resource: 'certificatesigningrequests',
        subresource: 'selfnodeclient',
        name: 'system:vnodes',
        verb: 'create',
      },
    },
  })
  t.strictSame(approvalOf(csr, 'why', new Date('2026-01-02T03:04:05.678Z')), [
    { op: 'replace', path: '/metadata/resourceVersion', value: '7' },
    {
      op: 'add',
      path: '/status/conditions',
      value: [
        {
          type: 'Approved',
          status: 'True',
          reason: 'VnodeApproved',
          message: 'why',
          lastUpdateTime: '2026-01-02T03:04:05Z',
        },
      ],
    },
  ])
  t.match(unauthorised(csr, 'nodeclient'), { code: 'unauthorised', reason: /create .*\/nodeclient/ })
})
