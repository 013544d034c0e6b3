/** What the chart renders, judged by a real apiserver: every field known, every object admitted, Pods within Pod Security "restricted". */
import t, { type Test } from 'tap'
import {
  BOOTSTRAPPED,
  type Helm,
  helmOrSkip,
  type Manifest,
  manifestsOf,
  podsOf,
  VARIANTS,
} from '../helpers/chart.ts'
import { type ControlPlane, controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { applyObject } from '../helpers/webhook-rights.ts'

const helm = helmOrSkip(t)
const controlPlane = helm === undefined ? undefined : await controlPlaneOrSkip(t)

/** Types of others, which this apiserver does not have; the goldens hold them. */
const FOREIGN = ['cert-manager.io/v1', 'monitoring.coreos.com/v1']

/** Whatever has a Pod of its own, with all volumes that one can have. */
const EVERY_POD = {
  approver: { enabled: true },
  daemonSets: { fence: ['kube-system/kube-proxy'] },
  bootstrap: {
    ...BOOTSTRAPPED.bootstrap,
    credentials: {
      source: 'rrsa',
      rrsa: { roleArn: 'acs:ram::1:role/x', oidcProviderArn: 'acs:ram::1:oidc-provider/x' },
    },
    endpoint: 'https://gateway.example.com',
    endpointCA: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    deleteOnUninstall: true,
  },
}
const PODS = [
  'Deployment/approver',
  'Deployment/helper',
  'Deployment/webhook',
  'Job/bootstrap',
  'Job/daemonsets',
  'Job/removal',
  'Job/rules',
  'Job/uninstall',
  'Pod/test',
]

async function makeNamespace(controlPlane: ControlPlane, name: string, labels = {}): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }
  await applyObject(controlPlane, `/api/v1/namespaces/${name}`, body)
}

function applyText(controlPlane: ControlPlane, manifests: readonly Manifest[]) {
  const input = manifests.map(manifest => JSON.stringify(manifest)).join('\n---\n')
  const args = ['apply', '--server-side', '--dry-run=server', '--validate=strict', '-o', 'name', '-f', '-']
  return controlPlane.kubectl(args, { input })
}

async function checkVariant(t: Test, { helm, controlPlane }: Parts, name: string): Promise<void> {
  const options = VARIANTS.get(name) ?? {}
  const manifests = (await helm.render({ ...options, version: controlPlane.version })).filter(
    ({ apiVersion }) => !FOREIGN.includes(apiVersion),
  )
  for (const namespace of new Set(manifests.map(({ metadata }) => metadata.namespace ?? 'default')))
    await makeNamespace(controlPlane, namespace)
  const { code, stdout, stderr } = await applyText(controlPlane, manifests)
  t.equal(code, 0, stderr)
  t.equal(stderr, '', 'no warning either')
  t.equal(stdout.trim().split('\n').length, manifests.length)
}

interface Parts {
  readonly helm: Helm
  readonly controlPlane: ControlPlane
}

if (helm !== undefined && controlPlane !== undefined) {
  const parts = { helm, controlPlane }
  for (const [name, { version }] of VARIANTS)
    if (version === undefined) t.test(name, t => checkVariant(t, parts, name))

  t.test('strict validation is on', async t => {
    const wrong = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'x' }, automount: false }
    const { code, stderr } = await applyText(controlPlane, [wrong])
    t.not(code, 0)
    t.match(stderr, /automount/)
  })

  t.test('Pods run in a namespace that enforces Pod Security "restricted"', async t => {
    const namespace = 'restricted'
    await makeNamespace(controlPlane, namespace, { 'pod-security.kubernetes.io/enforce': 'restricted' })
    const manifests = await helm.render({ namespace, version: controlPlane.version, values: EVERY_POD })
    for (const manifest of manifests.filter(({ kind }) => kind === 'ServiceAccount'))
      await controlPlane.ask('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, { body: manifest })
    for (const { of, spec } of podsOf(manifests)) {
      const body = { metadata: { generateName: 'try-' }, spec }
      const path = `/api/v1/namespaces/${namespace}/pods?dryRun=All&fieldValidation=Strict`
      const { status, body: answer } = await controlPlane.request('POST', path, { body })
      t.equal(status, 201, `${of}: ${JSON.stringify(answer)}`)
    }
    t.strictSame(
      podsOf(manifests)
        .map(({ of }) => of.replace('vnode-profile-', ''))
        .sort(),
      PODS,
    )
  })

  t.test('legacy: an upgrade keeps the certificates that are there', async t => {
    await makeNamespace(controlPlane, 'legacy')
    const render = async () => {
      const args = [
        'template',
        'vnode-profile',
        'charts/vnode-profile',
        '--namespace',
        'legacy',
        '--dry-run=server',
      ]
      const more = ['--kube-version', '1.15.12', '--set', 'legacy=true']
      const { stdout, stderr } = await helm.run([...args, ...more], {
        kubeconfig: controlPlane.kubeconfigPath,
      })
      const manifests = manifestsOf(stdout)
      const secret = manifests.find(({ kind }) => kind === 'Secret')
      if (secret === undefined) throw new Error(stderr)
      const configuration = manifests.find(({ kind }) => kind === 'MutatingWebhookConfiguration')
      return { secret, configuration }
    }
    const first = await render()
    t.not((await render()).secret.data, first.secret.data, 'without a Secret they are new each time')
    await controlPlane.ask('POST', '/api/v1/namespaces/legacy/secrets', { body: first.secret })
    t.strictSame(await render(), first)
  })
}
