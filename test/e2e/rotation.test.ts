/** Certificates that live for two minutes at most, their CA included: they come and go, and no call notices. */
import t from 'tap'
import { e2eOrSkip, FAIL } from '../helpers/e2e.ts'
import { helperMetrics } from '../helpers/e2e-helper.ts'

const LIVES = ['--set', 'certificates.life=1m', '--set', 'certificates.caLife=2m']
const AUTHORITIES = 2
const CERTIFICATES = 4
/** Two CAs take three minutes. */
const LIMIT_SECONDS = 400

const e2e = await e2eOrSkip(t)

if (e2e !== undefined) {
  await e2e.install(...FAIL, ...LIVES)

  await t.test(
    'certificates are replaced again and again while Pods are created, and no call fails',
    async t => {
      /** New CAs, and new certificates, each of which a CA of its own may have come with. */
      const counted = async () => {
        const metrics = await helperMetrics(e2e)
        const writes = (action: string) =>
          metrics.sum('certificate_writes_total', { action, repair: 'false' })
        const authorities = writes('promote')
        return { metrics, authorities, certificates: authorities + writes('renew') }
      }
      const load = await e2e.during(20, () =>
        e2e.waitFor(
          'several rotations',
          async () => {
            const { authorities, certificates } = await counted()
            return (authorities >= AUTHORITIES && certificates >= CERTIFICATES) || undefined
          },
          LIMIT_SECONDS,
        ),
      )
      const { metrics, authorities, certificates } = await counted()
      t.comment(
        `${load.created} Pods in ${load.seconds} s over ${authorities} new CAs and ${certificates} new certificates`,
      )
      t.strictSame(load.refused, [], 'no call failed')
      t.strictSame(load.unmarked, [], 'and each had an answer')
      t.equal(metrics.sum('certificate_writes_total', { repair: 'true' }), 0, 'nothing had to be repaired')
      t.equal(metrics.sum('registration_writes_total', { cause: 'withdrawn' }), 0, 'nor withdrawn')
    },
  )
}
