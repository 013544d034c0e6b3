/** Nothing that is done to a running installation refuses a Pod, or misses one. */
import t from 'tap'
import { e2eOrSkip, FAIL, RELEASE } from '../helpers/e2e.ts'
import { secondsSince } from '../helpers/e2e-load.ts'

const e2e = await e2eOrSkip(t)

if (e2e !== undefined) {
  const deployment = `deployment/${RELEASE}-webhook`
  const changes = new Map<string, () => Promise<unknown>>([
    [
      'a rolling restart of the webhook',
      async () => {
        await e2e.kubectl('rollout', 'restart', deployment)
        await e2e.kubectl('rollout', 'status', deployment, '--timeout', '150s')
      },
    ],
    ['helm upgrade to another image', () => e2e.upgrade(...e2e.nextImage, ...FAIL)],
    ['helm rollback', () => e2e.helm('rollback', RELEASE, '1', '--wait')],
  ])
  await e2e.install(...FAIL)
  for (const [name, change] of changes) {
    await t.test(`${name}, while Pods are created, refuses none and misses none`, async t => {
      const before = (await e2e.podsOf('webhook')).map(pod => pod.metadata.name)
      const load = await e2e.during(20, async () => {
        const start = performance.now()
        await change()
        t.comment(`${name}: done after ${secondsSince(start)} s`)
        const pods = await e2e.waitForOldPods('webhook', before.length)
        t.notOk(
          pods.some(pod => before.includes(pod.metadata.name)),
          'every Pod was replaced',
        )
      })
      t.comment(
        `${load.created} created in ${load.seconds} s, ${load.unmarked.length} unmarked, ${load.refused.length} refused`,
      )
      t.ok(load.created > 100, 'it was under load')
      t.strictSame(load.unmarked, [], 'none is missed')
      t.strictSame(load.refused, [], 'none is refused')
    })
  }
}
