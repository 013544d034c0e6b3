import { dirname } from 'node:path'
import t from 'tap'
import { CHART, findHelm, helmOrSkip } from '../helpers/chart.ts'
import { runVnode } from '../helpers/cli.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { startRealNode } from '../helpers/vnode.ts'

const helm = helmOrSkip(t)
const controlPlane =
  helm === undefined ? undefined : await controlPlaneOrSkip(t, { scheduler: true, controllerManager: true })

if (controlPlane !== undefined) {
  const kubeconfig = controlPlane.kubeconfigPath
  // Hooks are Jobs, and Helm waits until they have run.
  await startRealNode(controlPlane, {
    phase: ({ metadata }) => (metadata.labels?.['job-name'] === undefined ? 'Running' : 'Succeeded'),
  })
  const home = dirname(kubeconfig)
  const addon = (...argv: string[]) =>
    runVnode(['addon', ...argv, '--kubeconfig', kubeconfig], {
      env: { PATH: dirname(findHelm()), HOME: home },
    })
  const enabled = async () => {
    const { stdout } = await addon('list', '-o', 'json')
    return JSON.parse(stdout)
      .filter((one: { enabled: boolean }) => one.enabled)
      .map((one: { name: string }) => one.name)
  }

  t.test('nothing is enabled at first', async t => {
    const { status, stdout } = await addon('list')
    t.equal(status, 0)
    t.equal(
      stdout,
      [
        'ADDON            STATUS     READY   RELEASE   VERSION   WHAT IT DOES',
        'eci-profile      disabled   -       -         -         sends Pods to VNodes by rules: webhook and helper',
        'vnode-approver   disabled   -       -         -         approves the certificate requests of VNodes',
        '',
      ].join('\n'),
    )
    t.match(await addon('disable', 'eci-profile'), {
      status: 0,
      stdout: 'Add-on eci-profile is not enabled.\n',
    })
    t.match(await addon('enable', 'coredns'), {
      status: 2,
      stderr: /there is no add-on "coredns"; there are: eci-profile, vnode-approver/,
    })
  })

  t.test('a dry run, and a machine without Helm, show the command', async t => {
    const command = `helm upgrade vnode-profile ${CHART} --namespace vnode-system --install --create-namespace --kubeconfig ${kubeconfig}\n`
    t.equal((await addon('enable', 'eci-profile', '--dry')).stdout, command)
    const without = await runVnode(['addon', 'enable', 'eci-profile', '--kubeconfig', kubeconfig], {
      env: { PATH: '/nowhere' },
    })
    t.strictSame(without, {
      status: 1,
      stdout: command,
      stderr: 'vnode: helm is not on this machine; where it is, run:\n',
    })
    t.strictSame(await enabled(), [])
  })

  t.test('add-ons are enabled and disabled, each keeping what was set for the other', async t => {
    const first = await addon('enable', 'eci-profile', '--set', 'webhook.replicas=1')
    t.equal(first.status, 0, first.stderr)
    t.match(first.stdout, /Add-on eci-profile is enabled\.\n$/)
    t.strictSame(await enabled(), ['eci-profile'])
    const second = await addon('enable', 'vnode-approver')
    t.equal(second.status, 0, second.stderr)
    t.strictSame(await enabled(), ['eci-profile', 'vnode-approver'])
    const listed = await addon('list')
    t.match(
      listed.stdout,
      /^eci-profile +enabled +\d\/1 +vnode-system\/vnode-profile +\d/m,
      'one replica still',
    )
    const third = await addon('disable', 'vnode-approver')
    t.equal(third.status, 0, third.stderr)
    t.strictSame(await enabled(), ['eci-profile'])
    const fourth = await addon('disable', 'eci-profile')
    t.equal(fourth.status, 0, fourth.stderr)
    t.strictSame(await enabled(), [])
  })

  t.test('what Helm refuses is a fault', async t => {
    const { status, stderr } = await addon('enable', 'eci-profile', '--set', 'no.such.value=1')
    t.equal(status, 1)
    t.match(stderr, /at '\/no': value must be 'left out: there is no such value here, only /)
    t.match(stderr, /vnode: helm has failed with status 1\n/)
  })
}
