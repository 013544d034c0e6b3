/** DaemonSets as the helper registers them: of kube-system too, never of our own namespace, and never held up. */
import t from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { EVERYTHING, FENCE_KEY } from '../helpers/daemons.ts'
import { install } from '../helpers/helper.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { makeDaemonSet } from '../helpers/pods.ts'
import { holds } from '../helpers/webhook.ts'

const NAME = 'keeper'
const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  const isFenced = async (namespace: string): Promise<boolean> => {
    const path = `/apis/apps/v1/namespaces/${namespace}/daemonsets?dryRun=All`
    const body = makeDaemonSet({ pod: { spec: { tolerations: EVERYTHING } } })
    const { metadata } = await controlPlane.ask<KubeObject>('POST', path, { body })
    return metadata.annotations?.[FENCE_KEY] !== undefined
  }

  t.test('which namespaces, and what if nobody answers', async t => {
    const options = { controlPlane, name: NAME, failurePolicy: 'Fail', graceMs: 300_000 } as const
    const { helper, startWebhook } = await install(t, options)
    const webhook = await startWebhook()
    await webhook.ready()
    await helper.registered('mutating', () => true, 60_000)
    await holds(() => isFenced('kube-system'), 60_000)
    t.ok(await isFenced('default'))
    t.notOk(await isFenced(NAME), 'our own namespace')
    const reviews = await webhook.reviews('daemonsets')
    await isFenced(NAME)
    t.equal(await webhook.reviews('daemonsets'), reviews, 'we are not even asked')
    await webhook.stop()
    t.notOk(await isFenced('kube-system'), 'let through, though Pods would be refused')
  })
}
