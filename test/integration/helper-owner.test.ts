import t from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { install, prepareHelper } from '../helpers/helper.ts'

const NAME = 'owned'
const OWNER = `/apis/rbac.authorization.k8s.io/v1/clusterroles/${NAME}-helper`

const controlPlane = await controlPlaneOrSkip(t, { controllerManager: true })

if (controlPlane !== undefined) {
  t.test(
    'with its ClusterRole the registration vanishes, the Secret too, and nothing comes back before it does',
    async t => {
      const { helper, startWebhook } = await install(t, { controlPlane, name: NAME, periodMs: 500 })
      const webhook = await startWebhook()
      await webhook.ready()
      await helper.registered('mutating')
      const validating = await helper.registered('validating')
      await helper.stop()
      const deleted = performance.now()
      await controlPlane.ask('DELETE', OWNER)
      await Promise.all(
        [helper.path('mutating'), helper.path('validating'), helper.secretPath].map(path =>
          controlPlane.waitForGone(path),
        ),
      )
      t.comment(`without any helper all of it is gone after ${seconds(deleted)}`)
      t.ok(webhook.log.some(({ problem }) => String(problem).includes('was deleted')))

      const { helper: next } = await install(t, {
        controlPlane,
        name: NAME,
        url: webhook.url,
        periodMs: 500,
        kubeconfig: await controlPlane.kubeconfig({ user: `${NAME}-helper-user` }),
      })
      await next.logged(`ClusterRole ${NAME}-helper, which is to own the registration, is not there`)
      await next.metric('rounds_total', { outcome: 'ok' }, 3)
      t.equal((await controlPlane.request('GET', next.path('mutating'))).status, 404)
      t.equal((await controlPlane.request('GET', next.secretPath)).status, 404)
      await prepareHelper({ controlPlane, name: NAME })
      const again = await next.registered('validating')
      t.not(again.metadata.uid, validating.metadata.uid)
      t.match(again.metadata, { ownerReferences: [{ kind: 'ClusterRole', name: `${NAME}-helper` }] })
      await next.secret()
    },
  )

  t.test(
    'a ClusterRole that is deleted while the helper runs takes the registration along for good',
    async t => {
      const { helper, startWebhook } = await install(t, { controlPlane, name: 'leaving', periodMs: 500 })
      await (await startWebhook()).ready()
      await helper.registered('validating')
      const deleted = performance.now()
      await controlPlane.ask('DELETE', OWNER.replace(NAME, 'leaving'))
      await controlPlane.waitForGone(helper.path('mutating'))
      await controlPlane.waitForGone(helper.path('validating'))
      t.comment(`gone after ${seconds(deleted)}`)
      const rounds = (await helper.metrics()).sum('vnode_profile_helper_rounds_total', { outcome: 'ok' }) ?? 0
      await helper.metric('rounds_total', { outcome: 'ok' }, rounds + 4)
      t.equal((await controlPlane.request('GET', helper.path('mutating'))).status, 404)
      t.equal((await controlPlane.request('GET', helper.path('validating'))).status, 404)
    },
  )
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(2)} s`
}
