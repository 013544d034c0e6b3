/** The end-to-end tests take away what has the names of an installation: where one is that is not theirs, they do not begin. */
import t from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { CONFIGURATIONS, e2eOrSkip, RELEASE } from '../helpers/e2e.ts'
import { applyObject } from '../helpers/webhook-rights.ts'

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  const [configuration = ''] = CONFIGURATIONS
  process.env.KUBECONFIG = controlPlane.kubeconfigPath
  process.env.VNODE_E2E_IMAGE = 'localhost/vnode-profile:none'
  await applyObject(controlPlane, configuration, {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: RELEASE },
    webhooks: [],
  })
  for (const [by, annotations] of [
    ['by Helm', { 'meta.helm.sh/release-namespace': 'vnode-system' }],
    ['without Helm', {}],
  ] as const) {
    await t.test(`an installation of somebody, ${by}, is left alone`, async t => {
      const name = `${RELEASE}-helper`
      const path = `/apis/rbac.authorization.k8s.io/v1/clusterroles/${name}`
      await controlPlane.request('DELETE', path)
      const [apiVersion, kind] = ['rbac.authorization.k8s.io/v1', 'ClusterRole']
      await applyObject(controlPlane, path, { apiVersion, kind, metadata: { name, annotations }, rules: [] })
      await t.rejects(e2eOrSkip(t), {
        message: /this cluster has vnode-profile in .*: take one that is meant/,
      })
      for (const kept of [path, configuration]) t.equal((await controlPlane.request('GET', kept)).status, 200)
    })
  }
}
