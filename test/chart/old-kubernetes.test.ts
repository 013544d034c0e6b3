/** What the chart renders for Kubernetes 1.13 to 1.19, of which no cluster is at hand: checked against the types that they published. */

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { CHART, find, type Helm, helmOrSkip, type Manifest, manifestsOf, nameOf } from '../helpers/chart.ts'
import { OpenApi } from '../helpers/openapi.ts'

const helm = helmOrSkip(t)
const CRDS = join(CHART, 'crds')
const crds = readdirSync(CRDS).flatMap(file => manifestsOf(readFileSync(join(CRDS, file), 'utf8')))

function problemsOf(manifests: readonly Manifest[], types: OpenApi): string[] {
  return manifests.flatMap(manifest =>
    types.problems(manifest).map(problem => `${nameOf(manifest)}${problem}`),
  )
}

/** Everything that adds a field somewhere. */
const FULL = {
  image: { pullSecrets: [{ name: 'registry' }] },
  webhook: {
    hostNetwork: true,
    tolerations: [{ key: 'dedicated', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 5 }],
    nodeSelector: { role: 'system' },
    podAnnotations: { a: 'b' },
  },
  networkPolicy: { metricsFrom: [{ namespaceSelector: { matchLabels: { name: 'monitoring' } } }] },
  daemonSets: { fence: ['kube-system/kube-proxy'] },
  helper: { spill: { unguarded: true } },
}

async function checkVersion(t: Test, helm: Helm, version: string): Promise<void> {
  const types = new OpenApi(version)
  const minor = Number(version.split('.')[1])
  const legacy = minor < 16
  const approver = { enabled: minor >= 19 }
  for (const values of [{ legacy }, { legacy, ...FULL, approver }]) {
    const manifests = await helm.render({ version, values })
    t.strictSame(problemsOf(manifests, types), [])
    t.equal(
      manifests.some(manifest => nameOf(manifest) === 'Deployment/vnode-profile-helper'),
      !legacy,
    )
  }
  // Older ones are installed with --skip-crds.
  if (!legacy) t.strictSame(problemsOf(crds, types), [])
}

if (helm !== undefined) {
  for (const version of ['1.13.12', '1.14.10', '1.15.12', '1.16.15', '1.17.17', '1.18.20', '1.19.16'])
    t.test(version, async t => checkVersion(t, helm, version))

  t.test('the check of types finds what a version does not know', async t => {
    const manifests = await helm.render({ version: '1.19.16' })
    const old = new OpenApi('1.18.20').problems(find(manifests, 'Deployment/vnode-profile-webhook'))
    t.strictSame(old, ['.spec.template.spec.securityContext.seccompProfile: is unknown'])
    const types = new OpenApi('1.19.16')
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 7 },
      spec: { ports: [{}], clusterIp: '' },
    }
    t.strictSame(types.problems(service), [
      '.metadata.name: is not of type string',
      '.spec.ports[0].port: is missing',
      '.spec.clusterIp: is unknown',
    ])
    t.strictSame(types.problems({ apiVersion: 'v2', kind: 'Service' }), ['there is no v2/Service'])
  })

  t.test('the registration of 1.13 to 1.15 trusts what is served, for ten years', async t => {
    const manifests = await helm.render({ version: '1.15.12', values: { legacy: true } })
    const { data } = find(manifests, 'Secret/vnode-profile-tls') as unknown as {
      data: Record<string, string>
    }
    const read = (name: string) => new X509Certificate(Buffer.from(data[name] ?? '', 'base64'))
    const ca = read('ca.crt')
    const leaf = read('tls.crt')
    t.ok(leaf.checkIssued(ca) && leaf.verify(ca.publicKey))
    t.ok(leaf.checkHost('vnode-profile-webhook.vnode-system.svc'))
    t.ok(leaf.validToDate.getTime() > Date.now() + 3649 * 86_400_000)
    t.ok(leaf.checkPrivateKey(createPrivateKey(Buffer.from(data['tls.key'] ?? '', 'base64'))))
    const { webhooks } = find(manifests, 'MutatingWebhookConfiguration/vnode-profile')
    t.match(webhooks, [
      {
        failurePolicy: 'Ignore',
        clientConfig: {
          caBundle: data['ca.crt'],
          service: { namespace: 'vnode-system', name: 'vnode-profile-webhook', path: '/mutate/pods' },
        },
        rules: [{ operations: ['CREATE'], resources: ['pods'] }],
      },
    ])
  })
}
