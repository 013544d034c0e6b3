/** `vnode rules init` on a real apiserver: it makes the rules where there are none, and never touches any. */
import t from 'tap'
import { DEFAULT_RULES } from '../../src/core/selector/default-rules.ts'
import { type CliResult, runVnode } from '../helpers/cli.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { setRules } from '../helpers/rules.ts'

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  const init = (namespace: string, ...flags: string[]): Promise<CliResult> =>
    runVnode(['rules', 'init', '--rules-namespace', namespace, ...flags], {
      env: { KUBECONFIG: controlPlane.kubeconfigPath },
    })
  const pathOf = (namespace: string) => `/api/v1/namespaces/${namespace}/configmaps/eci-profile`
  const text = (namespace: string, what: string) => `ConfigMap ${namespace}/eci-profile: ${what}\n`

  t.test('makes the default rules where there are none', async t => {
    const namespace = await controlPlane.namespace(t)
    t.strictSame(await init(namespace), {
      status: 0,
      stdout: text(namespace, 'made with the default rules'),
      stderr: '',
    })
    const made = await controlPlane.ask<KubeObject>('GET', pathOf(namespace))
    t.strictSame(made.data, { selectors: DEFAULT_RULES })
  })

  t.test('leaves what is there as it is, even without rules in it', async t => {
    const namespace = await controlPlane.namespace(t)
    const body = { metadata: { name: 'eci-profile' }, data: { vpcId: 'vpc-1' } }
    const before = await controlPlane.ask('POST', `/api/v1/namespaces/${namespace}/configmaps`, { body })
    t.match(await init(namespace), {
      status: 0,
      stdout: text(namespace, 'is there already; left as it is'),
    })
    t.strictSame(await controlPlane.ask('GET', pathOf(namespace)), before, 'not even written anew')
  })

  for (const flag of ['--dry-run', '--dry']) {
    t.test(`${flag} makes nothing`, async t => {
      const namespace = await controlPlane.namespace(t)
      t.match(await init(namespace, flag), {
        stdout: text(namespace, 'would be made with the default rules'),
      })
      t.equal((await controlPlane.request('GET', pathOf(namespace))).status, 404)
      await setRules(controlPlane, [], { namespace })
      t.match(await init(namespace, flag), { stdout: text(namespace, 'is there already; left as it is') })
    })
  }

  t.test('a namespace that is not there is a fault', async t => {
    t.match(await init('nowhere'), { status: 1, stdout: '', stderr: /namespaces "nowhere" not found/ })
  })
}
