import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { Random } from '../../../helpers/random.ts'
import { RotationWorld } from '../../../helpers/rotation-world.ts'

const HOUR_MS = 3_600_000
const lives = { authorityMs: 3 * HOUR_MS, servingMs: HOUR_MS }
const TICK_MS = 30_000

function count(world: RotationWorld, action: string): number {
  return world.actions.filter(one => one === action).length
}

t.test(
  'over many lives, with late replicas and API servers and a leader that dies, every call is trusted',
  async t => {
    for (const [seed, crashes] of [
      [1, 0],
      [3, 0.1],
      [4, 0.2],
    ] as const) {
      await t.test(`the leader dies at ${crashes * 100} per cent of its steps`, async t => {
        const random = new Random(seed)
        const world = new RotationWorld({ random, lives, crashes })
        while (world.now < 24 * HOUR_MS) {
          world.lead()
          world.check()
          if (random.chance(0.01)) world.restart(random.below(3))
          world.pass(TICK_MS * (0.5 + random.fraction()))
        }
        t.strictSame(world.faults, [])
        const authorities = count(world, 'promote')
        const leaves = authorities + count(world, 'renew')
        t.ok(authorities >= 8, `${authorities} CAs`)
        t.ok(leaves >= 30, `${leaves} certificates`)
        t.equal(count(world, 'start'), 1)
        t.equal(count(world, 'mend'), 0)
        t.comment(
          `${authorities} CAs, ${leaves} certificates, ${world.crashes} crashes, ${world.calls} calls judged`,
        )
      })
    }
  },
)

t.test(
  'whatever becomes of the Secret meanwhile, replicas that go on are trusted, and the rotation goes on',
  async t => {
    const random = new Random(7)
    const world = new RotationWorld({ random, lives, crashes: 0.05 })
    let broken = 0
    while (world.now < 30 * HOUR_MS) {
      world.lead()
      world.check()
      if (random.chance(0.02)) {
        broken += 1
        world.putSecret(damage(random, world.secret))
      }
      world.pass(TICK_MS)
    }
    t.strictSame(world.faults, [])
    t.ok(broken > 40, `${broken} times broken`)
    t.ok(count(world, 'promote') > 15, `${count(world, 'promote')} CAs`)
    t.ok(count(world, 'renew') > 5)
    t.ok(
      new X509Certificate(world.secret.cert ?? '').validToDate.getTime() >
        Date.parse('2026-01-01') + world.now,
    )
    t.comment(
      `${broken} times broken: ${[...new Set(world.actions)].map(action => `${action} ${count(world, action)}`).join(', ')}`,
    )
  },
)

function damage(random: Random, secret: RotationWorld['secret']): RotationWorld['secret'] {
  const keys = ['caCert', 'caKey', 'nextCaCert', 'nextCaKey', 'bundle', 'cert', 'key'] as const
  if (random.chance(0.2)) return {}
  const hit = keys.filter(() => random.chance(0.3))
  const value = random.one([
    undefined,
    'rubbish',
    '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
  ])
  return { ...secret, ...Object.fromEntries(hit.map(key => [key, value])) }
}
