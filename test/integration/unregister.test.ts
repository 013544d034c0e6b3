/** `vnode unregister` on a real apiserver, also against a helper that does not know yet that it is over. */
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { runUnregister } from '../../src/cli/unregister.ts'
import { connect } from '../../src/kube/client.ts'
import { fakeIo, runVnode } from '../helpers/cli.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { applyObject } from '../helpers/webhook-rights.ts'

const REGISTRATION = '/apis/admissionregistration.k8s.io/v1'
const OWNER = '/apis/rbac.authorization.k8s.io/v1/clusterroles/vnode-profile-helper'
const CONFIGURATIONS = ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'].map(kind => ({
  kind,
  path: `${REGISTRATION}/${kind.toLowerCase()}s/vnode-profile`,
}))
const ALL = [OWNER, ...CONFIGURATIONS.map(({ path }) => path)]

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  const register = async (): Promise<void> => {
    for (const { kind, path } of CONFIGURATIONS)
      await applyObject(controlPlane, path, {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind,
        metadata: { name: 'vnode-profile' },
        webhooks: [],
      })
  }
  const install = async (): Promise<void> => {
    await applyObject(controlPlane, OWNER, {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'vnode-profile-helper' },
      rules: [],
    })
    await register()
  }
  const statuses = async () =>
    await Promise.all(ALL.map(async path => (await controlPlane.request('GET', path)).status))
  const unregister = (...flags: string[]) =>
    runVnode(['unregister', ...flags], { env: { KUBECONFIG: controlPlane.kubeconfigPath } })

  t.test('a dry run says what would go', async t => {
    await install()
    t.match(await unregister('--dry-run'), {
      status: 0,
      stdout:
        'ClusterRole vnode-profile-helper: would be removed\n' +
        'MutatingWebhookConfiguration vnode-profile: would be removed\n' +
        'ValidatingWebhookConfiguration vnode-profile: would be removed\n',
    })
    t.strictSame(await statuses(), [200, 200, 200])
  })

  t.test('the registration goes, and what a helper registers a moment later', async t => {
    await install()
    const late = controlPlane.waitForGone(ALL[1] ?? '').then(async () => {
      await delay(500)
      await register()
    })
    const { status, stdout } = await unregister()
    await late
    t.equal(status, 0)
    t.equal(stdout.match(/MutatingWebhookConfiguration vnode-profile: removed/g)?.length, 2, stdout)
    t.strictSame(await statuses(), [404, 404, 404])
  })

  t.test('where nothing is registered, that is said', async t => {
    t.strictSame(await unregister('--name', 'other'), {
      status: 0,
      stdout: 'other: nothing is registered\n',
      stderr: '',
    })
  })

  t.test('somebody who never stops registering is named as the fault', async t => {
    await install()
    const { io } = fakeIo()
    let time = 0
    const clock = {
      now: () => time,
      after: (ms: number, run: () => void) => {
        time += ms
        void register().then(run)
        return () => {}
      },
    }
    const client = () => connect({ kubeconfig: controlPlane.kubeconfigPath, userAgent: 'test' })
    const options = { name: 'vnode-profile', owner: 'vnode-profile-helper', isDryRun: false, clock }
    await t.rejects(runUnregister({ ...options, connect: client }, io), {
      message: 'somebody registers vnode-profile again and again',
      next: /Stop the helper/,
    })
  })
}
