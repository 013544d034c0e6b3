/**
 * Install, upgrade, rollback and uninstall on a real apiserver, with the real helm: what is people's own is there afterwards as it was
 * before. No kubelet runs the hooks' Jobs here; their commands are run with the Jobs' own identities.
 */
import t, { type Test } from 'tap'
import { CHART, type Helm, helmOrSkip } from '../helpers/chart.ts'
import { type CliResult, runVnode } from '../helpers/cli.ts'
import { type ControlPlane, controlPlaneOrSkip } from '../helpers/control-plane.ts'
import type { KubeList, KubeObject } from '../helpers/kube-http.ts'
import { makeDaemonSet, makePod } from '../helpers/pods.ts'
import { installSelectorCrd, removeSelectorCrd, setSelector } from '../helpers/rules.ts'
import { holds } from '../helpers/webhook.ts'
import { applyObject } from '../helpers/webhook-rights.ts'

const NAMESPACE = 'vnode-system'
const RULES = '/api/v1/namespaces/kube-system/configmaps/eci-profile'
const CRD = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/selectors.eci.aliyun.com'
const FENCED_BY_COMMAND = '{"by":"command","terms":[0],"created":"affinity"}'
const POLICIES = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies'

const helm = helmOrSkip(t)
const controlPlane = helm === undefined ? undefined : await controlPlaneOrSkip(t, { controllerManager: true })

class Release {
  readonly #helm: Helm
  readonly #controlPlane: ControlPlane

  constructor(helm: Helm, controlPlane: ControlPlane) {
    this.#helm = helm
    this.#controlPlane = controlPlane
  }

  /** Runs helm without hooks; throws what it says if it fails. */
  async run(...args: readonly string[]): Promise<string> {
    const kubeconfig = this.#controlPlane.kubeconfigPath
    const all = [...args, '--namespace', NAMESPACE, '--no-hooks']
    const { code, stdout, stderr } = await this.#helm.run(all, { kubeconfig })
    if (code !== 0) throw new Error(stderr)
    return stdout + stderr
  }

  install(...flags: readonly string[]): Promise<string> {
    return this.run('install', 'vnode-profile', CHART, '--create-namespace', ...flags)
  }

  async uninstall(): Promise<void> {
    await this.run('uninstall', 'vnode-profile', '--wait')
  }

  /** Makes what a hook consists of but for its Job, runs the Job's command with its identity, and removes it all, as Helm does. */
  async hook(t: Test, component: string, meanwhile = async () => {}): Promise<CliResult> {
    const kubeconfig = this.#controlPlane.kubeconfigPath
    const { stdout } = await this.#helm.run(['get', 'hooks', 'vnode-profile', '--namespace', NAMESPACE], {
      kubeconfig,
    })
    const documents = stdout.split(/^---$/m).filter(text => text.includes(`component: ${component}\n`))
    const others = documents.filter(text => !/^kind: (?:Job|Pod)$/m.test(text)).join('\n---\n')
    const applied = await this.#controlPlane.kubectl(['apply', '-f', '-'], { input: others })
    t.equal(applied.code, 0, applied.stderr)
    const [, args = ''] =
      /args:\n((?: +- .*\n?)+)/.exec(documents.find(text => /^kind: Job$/m.test(text)) ?? '') ?? []
    const argv = args
      .trim()
      .split('\n')
      .map(line => line.trim().replace(/^- /, ''))
    const serviceAccount = `vnode-profile-${component}`
    const identity = await this.#controlPlane.kubeconfig({ namespace: NAMESPACE, serviceAccount })
    try {
      await meanwhile()
      return await runVnode(argv, { env: { KUBECONFIG: identity } })
    } finally {
      await this.#controlPlane.kubectl(['delete', '-f', '-'], { input: others })
    }
  }
}

/** Everything of the release that is in the cluster. */
async function leftovers(controlPlane: ControlPlane): Promise<string[]> {
  const kinds =
    'deployments,services,serviceaccounts,networkpolicies,poddisruptionbudgets,roles,rolebindings,clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings,jobs'
  const args = ['get', kinds, '-A', '-o', 'name', '-l', 'app.kubernetes.io/instance=vnode-profile']
  const { stdout, stderr, code } = await controlPlane.kubectl(args)
  if (code !== 0) throw new Error(stderr)
  return stdout.trim() === '' ? [] : stdout.trim().split('\n').sort()
}

async function clean(controlPlane: ControlPlane): Promise<void> {
  await controlPlane.request('DELETE', RULES)
  await removeSelectorCrd(controlPlane)
}

if (helm !== undefined && controlPlane !== undefined) {
  const release = new Release(helm, controlPlane)

  await t.test('a cluster that never heard of us', async t => {
    t.teardown(() => clean(controlPlane))
    const notes = await release.install()
    t.match(notes, /Next:/)
    t.match(notes, /helm -n vnode-system test --logs vnode-profile/)
    t.match(
      notes,
      /leaves what is yours:\n.*kube-system\/eci-profile, the rules\n.*selectors\.eci\.aliyun\.com/,
    )
    t.equal((await controlPlane.request('GET', CRD)).status, 200)
    t.equal((await leftovers(controlPlane)).filter(name => name.startsWith('deployment')).length, 2)
    t.match(await release.hook(t, 'rules'), {
      status: 0,
      stdout: 'ConfigMap kube-system/eci-profile: made with the default rules\n',
    })
    const rules = await controlPlane.ask('GET', RULES)
    await controlPlane.waitFor(CRD, ({ status }) => JSON.stringify(status).includes('"Established"'))
    await setSelector(controlPlane, {
      name: 'web',
      namespace: 'default',
      spec: { objectLabels: { matchLabels: { app: 'web' } } },
    })
    await release.run('upgrade', 'vnode-profile', CHART, '--set', 'webhook.replicas=3')
    await release.run('rollback', 'vnode-profile', '1')
    await release.uninstall()
    t.strictSame(await leftovers(controlPlane), [])
    t.strictSame(await controlPlane.ask('GET', RULES), rules, 'the rules stay')
    const selectors = '/apis/eci.aliyun.com/v1/selectors'
    t.equal(
      (await controlPlane.ask<KubeList>('GET', selectors)).items.length,
      1,
      'Selectors and their type stay',
    )
  })

  await t.test('a cluster with rules, and a type of the vendor', async t => {
    t.teardown(() => clean(controlPlane))
    await installSelectorCrd(t, controlPlane, { scope: 'Cluster', versions: ['v1', 'v1beta1'] })
    const body = {
      metadata: { name: 'eci-profile' },
      data: { vpcId: 'vpc-1', enableClusterIp: 'true', selectors: '[ {"name": "mine"} ] # as I like it\n' },
    }
    const path = '/api/v1/namespaces/kube-system/configmaps'
    const rules = await controlPlane.ask<KubeObject>('POST', path, { body })
    const spec = async () => (await controlPlane.ask<KubeObject>('GET', CRD)).spec
    const type = await spec()
    const same = async (when: string) => {
      t.strictSame(await controlPlane.ask('GET', RULES), rules, `the rules ${when}`)
      t.strictSame(await spec(), type, `the type ${when}`)
    }
    await release.install()
    t.match(await release.hook(t, 'rules'), { stdout: /is there already; left as it is/ })
    await same('after the installation')
    await release.run('upgrade', 'vnode-profile', CHART, '--set', 'webhook.logLevel=debug')
    await release.run('rollback', 'vnode-profile', '1')
    await same('after an upgrade and a rollback')
    await release.uninstall()
    await same('after the uninstallation')
  })

  await t.test('the identity that makes the rules can do nothing else to them', async t => {
    t.teardown(async () => {
      await release.uninstall()
      await clean(controlPlane)
    })
    await release.install()
    await release.hook(t, 'rules', async () => {
      const can = async (...what: string[]) =>
        (
          await controlPlane.kubectl([
            'auth',
            'can-i',
            ...what,
            '--as=system:serviceaccount:vnode-system:vnode-profile-rules',
          ])
        ).stdout.trim()
      t.equal(await can('create', 'configmaps', '-n', 'kube-system'), 'yes')
      for (const verb of ['get', 'update', 'patch', 'delete'])
        t.equal(await can(verb, 'configmaps/eci-profile', '-n', 'kube-system'), 'no', verb)
      t.equal(await can('create', 'configmaps', '-n', 'default'), 'no')
    })
  })

  await t.test('the DaemonSets that are named are fenced, and nobody else can be', async t => {
    t.teardown(async () => {
      await release.uninstall()
      await clean(controlPlane)
    })
    const daemons = '/apis/apps/v1/namespaces/kube-system/daemonsets'
    const pod = { spec: { tolerations: [{ operator: 'Exists' }] } }
    for (const name of ['kube-proxy', 'other'])
      await controlPlane.ask('POST', daemons, { body: makeDaemonSet({ name, pod }) })
    const names = ['kube-system/kube-proxy', 'kube-system/absent', 'nowhere/agent']
    const notes = await release.install('--set', `daemonSets.fence={${names.join(',')}}`)
    t.notMatch(notes, /nowhere/)
    const first = await release.hook(t, 'daemonsets', async () => {
      const can = async (...what: string[]) =>
        (
          await controlPlane.kubectl([
            'auth',
            'can-i',
            ...what,
            '-n',
            'kube-system',
            '--as=system:serviceaccount:vnode-system:vnode-profile-daemonsets',
          ])
        ).stdout.trim()
      t.equal(await can('patch', 'daemonsets.apps/kube-proxy'), 'yes')
      t.equal(await can('patch', 'daemonsets.apps/other'), 'no')
      for (const verb of ['update', 'delete', 'create'])
        t.equal(await can(verb, 'daemonsets.apps/kube-proxy'), 'no', verb)
    })
    t.match(first, { status: 0, stderr: '', stdout: /^DaemonSet kube-system\/kube-proxy: fenced\n/ })
    t.match(first.stdout, /\nDaemonSet kube-system\/absent: absent\n$/)
    const fenced = await controlPlane.ask<KubeObject>('GET', `${daemons}/kube-proxy`)
    t.equal(fenced.metadata.annotations?.['vnode-profile.io/fence'], FENCED_BY_COMMAND)
    t.match((await release.hook(t, 'daemonsets')).stdout, /^DaemonSet kube-system\/kube-proxy: left as it is/)
    t.strictSame((await controlPlane.ask<KubeObject>('GET', `${daemons}/kube-proxy`)).spec, fenced.spec)
    const other = await controlPlane.ask<KubeObject>('GET', `${daemons}/other`)
    t.equal(other.metadata.annotations?.['vnode-profile.io/fence'], undefined)
    for (const name of ['kube-proxy', 'other']) await controlPlane.ask('DELETE', `${daemons}/${name}`)
  })

  await t.test('the registration goes before all else, and the owner takes it along in any case', async t => {
    t.teardown(() => clean(controlPlane))
    const register = async () => {
      const owner = await controlPlane.ask<KubeObject>(
        'GET',
        '/apis/rbac.authorization.k8s.io/v1/clusterroles/vnode-profile-helper',
      )
      const apiVersion = 'rbac.authorization.k8s.io/v1'
      const ownerReferences = [
        { apiVersion, kind: 'ClusterRole', name: owner.metadata.name, uid: owner.metadata.uid },
      ]
      for (const kind of ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'])
        await applyObject(controlPlane, pathOf(kind), {
          apiVersion: 'admissionregistration.k8s.io/v1',
          kind,
          metadata: { name: 'vnode-profile', ownerReferences },
          webhooks: [],
        })
    }
    const pathOf = (kind: string) =>
      `/apis/admissionregistration.k8s.io/v1/${kind.toLowerCase()}s/vnode-profile`
    await release.install()
    await register()
    t.match(await release.hook(t, 'uninstall'), {
      status: 0,
      stdout: /ClusterRole vnode-profile-helper: removed\n/,
    })
    for (const kind of ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'])
      t.equal((await controlPlane.request('GET', pathOf(kind))).status, 404, kind)
    await release.uninstall()

    await release.install()
    await register()
    await release.uninstall()
    for (const kind of ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'])
      await controlPlane.waitForGone(pathOf(kind))
  })

  await t.test('whoever probes may create its Pod as a dry run, and nothing else', async t => {
    t.teardown(async () => {
      await release.uninstall()
      await clean(controlPlane)
    })
    await release.install()
    const name = 'vnode-profile-probe'
    const podPath = `/api/v1/namespaces/${NAMESPACE}/pods/${name}`
    await controlPlane.waitFor(`${POLICIES}/${name}`, () => true)
    const kubeconfig = await controlPlane.kubeconfig({
      namespace: NAMESPACE,
      serviceAccount: 'vnode-profile-helper',
    })
    const apply = async (name: string, ...flags: string[]) => {
      const input = JSON.stringify({ ...makePod({ name }), metadata: { name, namespace: NAMESPACE } })
      return await controlPlane.kubectl(['apply', '--server-side', '-f', '-', ...flags], {
        input,
        kubeconfig,
      })
    }
    // A new policy acts a moment later; until it does, the Pod is made in earnest.
    await holds(async () => {
      const { stderr } = await apply(name)
      if (stderr.includes("vnode-profile's probe is created as a dry run only")) return true
      await controlPlane.request('DELETE', podPath, { body: { gracePeriodSeconds: 0 } })
      return false
    }, 15_000)
    t.equal((await apply(name, '--dry-run=server')).code, 0)
    t.match((await apply('other', '--dry-run=server')).stderr, /forbidden/i)
    const body = makePod({ name })
    const asAdmin = await controlPlane.request('POST', `/api/v1/namespaces/${NAMESPACE}/pods`, { body })
    t.equal(asAdmin.status, 201, 'others are not held')
  })
}
