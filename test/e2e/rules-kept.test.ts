/** Rules that were there before us are their people's: nothing that Helm does to us changes a byte of them. */
import t from 'tap'
import { e2eOrSkip, RELEASE } from '../helpers/e2e.ts'

const NAME = 'vnode-e2e-rules'
const PATH = `/api/v1/namespaces/kube-system/configmaps/${NAME}`
// Keys of the cluster, as eci-profile has them; odd spaces and no line end, as people write them.
const DATA = {
  enableClusterIp: 'true',
  enableHybridMode: 'false',
  enableLinuxArm64Node: 'false',
  enablePrivateZone: 'false',
  regionId: 'cn-hangzhou',
  securityGroupId: 'sg-e2e',
  vSwitchIds: 'vsw-one,vsw-two',
  vpcId: 'vpc-e2e',
  resourceGroupId: '',
  selectors:
    '[ {"name":"mine",   "objectSelector":{"matchLabels":{"alibabacloud.com/eci":"true"}},\n"effect":{"annotations":{"e2e":"ä"}}} ]',
}
interface ConfigMap {
  readonly data: Readonly<Record<string, string>>
  readonly metadata: { readonly resourceVersion: string; readonly uid: string }
}

const e2e = await e2eOrSkip(t)

if (e2e !== undefined) {
  await e2e.remove(PATH)
  t.teardown(() => e2e.remove(PATH))
  const made = await e2e.kube.request<ConfigMap>({
    method: 'POST',
    path: '/api/v1/namespaces/kube-system/configmaps',
    body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: NAME }, data: DATA },
  })
  const flags = ['--set', `rules.name=${NAME}`]
  const steps = new Map<string, () => Promise<unknown>>([
    ['install', () => e2e.install(...flags)],
    ['upgrade', () => e2e.upgrade(...e2e.nextImage, ...flags)],
    ['rollback', () => e2e.helm('rollback', RELEASE, '1', '--wait')],
    ['uninstall', () => e2e.uninstall()],
  ])
  for (const [step, run] of steps) {
    await t.test(`the rules are the same, byte for byte, after ${step}`, async t => {
      await run()
      const now = await e2e.find<ConfigMap>(PATH)
      t.strictSame(now?.data, DATA)
      t.strictSame(now?.metadata, made.metadata, 'nobody has written it')
    })
  }
}
