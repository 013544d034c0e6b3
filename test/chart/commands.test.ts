/** Commands with helm and kubectl that the README and the NOTES tell people to type, typed on a real apiserver. */
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import t, { type Test } from 'tap'
import { findHelm, helmOrSkip } from '../helpers/chart.ts'
import { type ControlPlane, controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { runStep } from '../helpers/guide.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { applyObject } from '../helpers/webhook-rights.ts'

const SYSTEM = '/api/v1/namespaces/vnode-system'
const WEBHOOK = '/apis/apps/v1/namespaces/vnode-system/deployments/vnode-profile-webhook'
const REGISTRATION = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/vnode-profile'
const RBAC = '/apis/rbac.authorization.k8s.io/v1'
const OWNER = `${RBAC}/clusterroles/vnode-profile-helper`
const INSTALL =
  'helm install vnode-profile charts/vnode-profile -n vnode-system --create-namespace --no-hooks'
const UNINSTALL = 'helm uninstall vnode-profile -n vnode-system --no-hooks --wait'

const readme = readFileSync('README.md', 'utf8')
const helm = helmOrSkip(t)
const controlPlane = helm === undefined ? undefined : await controlPlaneOrSkip(t, { controllerManager: true })

/** The one command in the README that begins so; in a table a `|` is written with a backslash. */
function commandOf(beginning: string): string {
  const found = new Set(
    [...readme.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code.replaceAll('\\|', '|')),
  )
  const [command, ...more] = [...found].filter(code => code.startsWith(beginning))
  if (command === undefined || more.length > 0) throw new Error(`not one command ${beginning} in the README`)
  return command
}

class Terminal {
  readonly #exports: string
  readonly #folder: string

  constructor(t: Test, { kubeconfigPath }: ControlPlane, programs: string) {
    this.#folder = t.testdir({})
    this.#exports = `export KUBECONFIG=${kubeconfigPath} PATH=${programs}:$PATH HOME=${this.#folder}`
  }

  /** All that they say. */
  type(...commands: readonly string[]): Promise<string> {
    return runStep([this.#exports, ...commands].join('\n'), { folder: this.#folder, here: new Map() })
  }
}

if (helm !== undefined && controlPlane !== undefined) {
  const terminal = new Terminal(t, controlPlane, dirname(findHelm()))
  const replicas = async () => {
    const { spec } = await controlPlane.ask<KubeObject & { spec: { replicas: number } }>('GET', WEBHOOK)
    return spec.replicas
  }

  await t.test('an upgrade as the README has it keeps what was set, and --set alone does not', async t => {
    t.teardown(() => terminal.type(UNINSTALL))
    const upgrade = commandOf('helm upgrade vnode-profile')
    await terminal.type(`${INSTALL} --set webhook.replicas=3`)
    await terminal.type(upgrade)
    t.equal(await replicas(), 3)
    await terminal.type(`${upgrade} --set webhook.logLevel=debug`)
    t.equal(await replicas(), 3)
    await terminal.type(`${upgrade.replace(' --reset-then-reuse-values', '')} --set webhook.logLevel=info`)
    t.equal(await replicas(), 2)
  })

  await t.test(
    'the command that registers a VNode keeps what was set, and installs where nothing is',
    async t => {
      t.teardown(() => terminal.type(UNINSTALL))
      const [command = ''] = /^helm upgrade --install [^`]+?(?=\n```)/m.exec(readme) ?? []
      const filled = `${command.replaceAll('vsw-…', 'vsw-1').replaceAll('sg-…', 'sg-1')} --no-hooks`
      await terminal.type(`${filled} --set webhook.replicas=3`)
      await terminal.type(filled)
      t.equal(await replicas(), 3)
    },
  )

  await t.test('manifests that are applied without Helm run no Job', async t => {
    const apply = commandOf('helm template vnode-profile').replace('1.34.4', controlPlane.version)
    t.teardown(() => terminal.type(apply.replace('apply', 'delete --ignore-not-found')))
    const said = await terminal.type(apply)
    t.match(said, /deployment\.apps\/vnode-profile-helper created/)
    t.match(said, /customresourcedefinition\.apiextensions\.k8s\.io\/selectors\.eci\.aliyun\.com \w/)
    t.notMatch(said, /^(?:job|pod)[./]/m)
    t.notMatch(said, /vnode-profile-(?:uninstall|rules|bootstrap|daemonsets) /)
    t.equal((await controlPlane.request('GET', OWNER)).status, 200)
    t.match(
      await terminal.type('vnode rules init', 'kubectl -n kube-system delete configmap eci-profile'),
      /made with the default rules/,
    )
  })

  await t.test(
    'what a hook leaves when Helm is ended goes with one command, and nothing else does',
    async t => {
      t.teardown(() => terminal.type(UNINSTALL))
      const notes = await terminal.type(`${INSTALL} --set 'daemonSets.fence={kube-system/kube-proxy}'`)
      const clean = commandOf('kubectl delete sa,')
      t.ok(notes.includes(clean), 'the NOTES have the same')
      await terminal.type('helm get hooks vnode-profile -n vnode-system | kubectl apply -f -')
      const count = async (kinds: string) =>
        (await terminal.type(`kubectl get ${kinds} -A -o name -l app.kubernetes.io/instance=vnode-profile`))
          .split('\n')
          .filter(line => line !== '')
      const hooks = /-(?:rules|daemonsets|uninstall)$/
      const before = await count('sa,role,clusterrole,rolebinding,clusterrolebinding,job,deployment')
      t.equal(before.filter(name => hooks.test(name) && !/-(?:helper|webhook)-rules$/.test(name)).length, 14)
      await terminal.type(clean)
      const after = await count('sa,role,clusterrole,rolebinding,clusterrolebinding,job,deployment')
      t.strictSame(
        after,
        before.filter(name => !hooks.test(name) || /-(?:helper|webhook)-rules$/.test(name)),
      )
    },
  )

  await t.test(
    'a namespace that is deleted: the registration goes with its owner, the rest with the next release',
    async t => {
      await terminal.type(INSTALL)
      const { metadata } = await controlPlane.ask<KubeObject>('GET', OWNER)
      const owner = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', name: metadata.name }
      await applyObject(controlPlane, REGISTRATION, {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'MutatingWebhookConfiguration',
        metadata: { name: 'vnode-profile', ownerReferences: [{ ...owner, uid: metadata.uid }] },
        webhooks: [],
      })
      await terminal.type('kubectl delete namespace vnode-system')
      await controlPlane.waitForGone(SYSTEM)
      t.equal((await controlPlane.request('GET', REGISTRATION)).status, 200, 'it stays')
      await terminal.type(commandOf('kubectl delete clusterrole vnode-profile-helper'))
      await controlPlane.waitForGone(REGISTRATION)
      await terminal.type(INSTALL, UNINSTALL)
      const args = ['get', 'clusterrole,clusterrolebinding,role,rolebinding,validatingadmissionpolicy', '-A']
      const { stdout } = await controlPlane.kubectl([
        ...args,
        '-o',
        'name',
        '-l',
        // What a VNode needs stays.
        'app.kubernetes.io/name=vnode-profile,app.kubernetes.io/component!=vnode',
      ])
      t.equal(stdout, '')
    },
  )
}
