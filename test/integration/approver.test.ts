/** Real certificate signing requests, approved by our program and signed by Kubernetes' own controller. */
import { X509Certificate } from 'node:crypto'
import t from 'tap'
import {
  allowRequests,
  type CsrOptions,
  createCsr,
  leftAlone,
  REQUESTS,
  rightTo,
  signed,
  startTestApprover,
} from '../helpers/approver.ts'
import { makeKeyPem, SOUND, SOUND_USAGES } from '../helpers/certificate-requests.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { holds } from '../helpers/webhook.ts'

const VNODE = 'system:vnode:cn-hangzhou.vnd-1'
const TOKEN = { user: 'system:bootstrap:vnodes', groups: ['bootstrappers'] }
const STRANGER = { user: 'stranger', groups: ['strangers'] }
const ITSELF = { user: VNODE, groups: ['system:vnodes'] }
const KUBELET_SIGNER = 'kubernetes.io/kube-apiserver-client-kubelet'
const KUBELET = {
  commonName: 'system:node:real-9',
  organizations: ['system:nodes'],
  signerName: KUBELET_SIGNER,
}

const controlPlane = await controlPlaneOrSkip(t, { controllerManager: true })

/** What the row asks for differs from what is sound in just that. */
const LEFT_ALONE = new Map<string, [differs: Partial<CsrOptions>, reason: RegExp]>([
  [
    'wrong signer',
    [{ signerName: KUBELET_SIGNER }, /its signer is kubernetes.io\/kube-apiserver-client-kubelet/],
  ],
  ['an extra alternative name', [{ dnsNames: ['kubernetes.default'] }, /alternative names/]],
  ['an extra usage', [{ usages: [...SOUND_USAGES, 'server auth'] }, /its usages are .*server auth/]],
  ['another organization', [{ organizations: ['system:nodes'] }, /its organizations are "system:nodes"/]],
  [
    'an organization more',
    [{ organizations: ['system:vnodes', 'admins'] }, /its organizations are "system:vnodes, admins"/],
  ],
  [
    'an unauthorised requester',
    [{ as: STRANGER }, /stranger may not create certificatesigningrequests\/nodeclient/],
  ],
  [
    "VNode A asks for B's name",
    [
      { as: ITSELF, commonName: 'system:vnode:cn-hangzhou.vnd-2' },
      /vnd-1 asks for the certificate of .*vnd-2/,
    ],
  ],
  [
    'a common name of all VNodes',
    [{ commonName: 'system:vnodes-x' }, /its common name is "system:vnodes-x"/],
  ],
])

function conditionsOf(status: Record<string, unknown> | undefined): readonly unknown[] {
  return Array.isArray(status?.conditions) ? status.conditions : []
}

if (controlPlane !== undefined) {
  // VNodes may even ask for first certificates here: that one asks for another's is refused whatever rights it has.
  await allowRequests(controlPlane, 'system:vnodes', [
    rightTo('selfnodeclient', ['system:vnodes']),
    rightTo('nodeclient'),
  ])
  await allowRequests(controlPlane, 'bootstrappers', [rightTo('nodeclient', ['system:vnodes'])])
  await allowRequests(controlPlane, 'strangers')

  t.test('a first certificate, and its renewal by itself', async t => {
    const approver = await startTestApprover(t, { controlPlane })
    const first = await createCsr(controlPlane, { ...SOUND, as: TOKEN })
    const certificate = new X509Certificate(await signed(controlPlane, first))
    t.equal(certificate.subject, `O=system:vnodes\nCN=${VNODE}`)
    t.equal(certificate.subjectAltName, undefined)
    const renewal = await createCsr(controlPlane, { ...SOUND, as: ITSELF, keyPem: makeKeyPem() })
    t.ok(await signed(controlPlane, renewal))
    const { status } = await controlPlane.ask('GET', `${REQUESTS}/${renewal}`)
    t.match(status, {
      conditions: [{ type: 'Approved', reason: 'VnodeApproved', message: /selfnodeclient/ }],
    })
    const events = `/api/v1/namespaces/default/events?fieldSelector=involvedObject.name=${renewal}`
    const [event] = await controlPlane.waitForAll(events, found => found.length > 0, { timeout: 60_000 })
    t.match(event, { reason: 'VnodeCertificateApproved', type: 'Normal' })
    t.equal(
      (await approver.metrics()).sum('vnode_profile_approver_requests_total', { outcome: 'approved' }),
      2,
    )
  })

  t.test('left alone, with the reason', async t => {
    const approver = await startTestApprover(t, { controlPlane })
    for (const [name, [differs, reason]] of LEFT_ALONE) {
      await t.test(name, async t => {
        const csr = await createCsr(controlPlane, { ...SOUND, as: TOKEN, ...differs })
        t.match(await leftAlone(controlPlane, csr), reason)
        t.equal(approver.log.filter(line => line.csr === csr && line.level === 'warn').length, 1, 'told once')
      })
    }
  })

  t.test('with the looser prefix the common name of all VNodes passes', async t => {
    await startTestApprover(t, { controlPlane, commonNamePrefix: 'system:vnode' })
    const csr = await createCsr(controlPlane, { ...SOUND, commonName: 'system:vnodes-x', as: TOKEN })
    t.ok(await signed(controlPlane, csr))
  })

  t.test('a right that is given later counts', async t => {
    await startTestApprover(t, { controlPlane })
    await allowRequests(controlPlane, 'latecomers')
    const csr = await createCsr(controlPlane, { ...SOUND, as: { user: 'late', groups: ['latecomers'] } })
    t.match(await leftAlone(controlPlane, csr), /late may not create/)
    await allowRequests(controlPlane, 'latecomers', [rightTo('nodeclient', ['system:vnodes'])])
    t.ok(await signed(controlPlane, csr))
  })

  t.test('what somebody has denied stays denied, and what is none of ours is not spoken of', async t => {
    const denied = await createCsr(controlPlane, { ...SOUND, as: TOKEN })
    const condition = { type: 'Denied', status: 'True', reason: 'ByHand', message: 'no' }
    await controlPlane.ask('PATCH', `${REQUESTS}/${denied}/approval`, {
      body: { status: { conditions: [condition] } },
      contentType: 'application/merge-patch+json',
    })
    const foreign = await createCsr(controlPlane, {
      commonName: 'jane',
      organizations: ['devs'],
      as: STRANGER,
    })
    const approver = await startTestApprover(t, { controlPlane })
    const last = await createCsr(controlPlane, { ...SOUND, as: TOKEN })
    await signed(controlPlane, last)
    const { status } = await controlPlane.ask('GET', `${REQUESTS}/${denied}`)
    t.match(status, { conditions: [{ type: 'Denied' }] })
    t.equal(conditionsOf(status).length, 1)
    t.strictSame(
      approver.log.filter(({ csr }) => csr === foreign).map(({ level }) => level),
      ['debug'],
    )
  })

  t.test('the right that VNodes need does not make their token a kubelet', async t => {
    await startTestApprover(t, { controlPlane })
    const asVnode = await createCsr(controlPlane, { ...KUBELET, as: TOKEN })
    await allowRequests(controlPlane, 'kubelets', [rightTo('nodeclient')])
    const asKubelet = await createCsr(controlPlane, {
      ...KUBELET,
      as: { user: 'kubelet', groups: ['kubelets'] },
    })
    t.ok(await signed(controlPlane, asKubelet), "Kubernetes' own approver is at work")
    const { status } = await controlPlane.ask('GET', `${REQUESTS}/${asVnode}`)
    t.strictSame(status, {}, 'and leaves the other alone')
  })

  t.test('two of them approve once', async t => {
    const both = [
      await startTestApprover(t, { controlPlane }),
      await startTestApprover(t, { controlPlane }),
    ] as const
    const names = await Promise.all(
      Array.from({ length: 10 }, () => createCsr(controlPlane, { ...SOUND, as: TOKEN })),
    )
    for (const name of names) {
      await signed(controlPlane, name)
      const { status } = await controlPlane.ask('GET', `${REQUESTS}/${name}`)
      t.equal(conditionsOf(status).length, 1)
    }
    const told = (name: string) =>
      both.flatMap(({ log }) => log.filter(({ csr, msg }) => csr === name && msg === 'approved')).length
    await holds(() => names.every(name => told(name) > 0), 60_000)
    t.strictSame(
      names.map(told),
      names.map(() => 1),
    )
    t.notOk(
      both.some(({ log }) => log.some(({ csr, level }) => names.includes(String(csr)) && level !== 'info')),
      'losing is no fault',
    )
  })

  t.test('what comes while the API server is away is approved when it is back', async t => {
    const approver = await startTestApprover(t, { controlPlane })
    await holds(async () => (await fetch(`${approver.opsUrl}/readyz`)).ok, 60_000)
    await controlPlane.stopApiserver()
    await controlPlane.startApiserver()
    const csr = await createCsr(controlPlane, { ...SOUND, as: TOKEN })
    t.ok(await signed(controlPlane, csr))
  })

  t.test('its identity may approve for this signer, and write nothing else', async t => {
    const as = { user: 'vnode-approver', groups: ['system:authenticated'] }
    const approve = async (options: Partial<CsrOptions>) => {
      const name = await createCsr(controlPlane, { ...SOUND, as: STRANGER, ...options })
      const condition = { type: 'Approved', status: 'True', reason: 'Try', message: 'try' }
      const { status } = await controlPlane.request('PATCH', `${REQUESTS}/${name}/approval`, {
        body: { status: { conditions: [condition] } },
        contentType: 'application/merge-patch+json',
        as,
      })
      return status
    }
    t.equal(await approve({}), 200)
    t.equal(await approve(KUBELET), 403)
    t.equal(await approve({ signerName: 'example.com/serving' }), 403)
    const FORBIDDEN: readonly [method: string, path: string][] = [
      ['POST', REQUESTS],
      ['GET', '/api/v1/namespaces/kube-system/secrets'],
      ['POST', '/apis/rbac.authorization.k8s.io/v1/clusterroles'],
      ['GET', '/api/v1/pods'],
      ['POST', '/api/v1/namespaces/kube-system/events'],
    ]
    for (const [method, path] of FORBIDDEN) {
      const body = method === 'GET' ? undefined : { metadata: { name: 'x' } }
      t.equal((await controlPlane.request(method, path, { as, body })).status, 403, `${method} ${path}`)
    }
  })
}
