import { test } from 'tap'
import type { LeaderElectorOptions } from '../../../src/kube/lease.ts'
import { LeaderElector, leaseIdentity } from '../../../src/kube/lease.ts'
import { type Election, heldByOther, startElection } from '../../helpers/elections.ts'
import { FakeApi, makeClient } from '../../helpers/fake-api.ts'

test('a candidate', async t => {
  t.test('creates the Lease for nobody, and takes it by its version', async t => {
    const election = await startElection(t)
    const { server, elector } = election
    const bodies: { path: string; query: object; body: unknown }[] = []
    for (const kind of ['apply', 'patch'] as const) {
      server.script(kind, exchange => {
        bodies.push({ path: exchange.path, query: exchange.query, body: JSON.parse(exchange.body) })
        server.handle(exchange)
      })
    }
    t.equal(elector.isLeader, false)
    const term = await election.lead()
    const path = '/apis/coordination.k8s.io/v1/namespaces/vnode-system/leases/helper'
    t.strictSame(bodies, [
      {
        path,
        query: { fieldManager: 'vnode-profile' },
        body: {
          apiVersion: 'coordination.k8s.io/v1',
          kind: 'Lease',
          metadata: { name: 'helper', namespace: 'vnode-system' },
        },
      },
      {
        path,
        query: { fieldManager: 'vnode-profile' },
        body: {
          metadata: { uid: 'uid-101', resourceVersion: '101' },
          spec: {
            leaseDurationSeconds: 15,
            renewTime: '2026-05-06T07:08:09.123000Z',
            holderIdentity: 'a',
            acquireTime: '2026-05-06T07:08:09.123000Z',
            leaseTransitions: 1,
          },
        },
      },
    ])
    t.equal(elector.isLeader, true)
    t.match(term, { number: 1, isHeld: true })
    t.equal(term.signal.aborted, false)
    t.doesNotThrow(() => term.assertHeld())
    t.strictSame(election.story(), ['new leader: a', 'leads 1'])
  })

  const skews: [string, string][] = [
    ['of a moment ago', '2026-05-06T07:08:08.000000Z'],
    ['a day ahead', '2026-05-07T07:08:08.000000Z'],
    ['a day behind', '2026-05-05T07:08:08.000000Z'],
    ['that is none', ''],
  ]
  for (const [name, renewTime] of skews) {
    t.test(`leaves a Lease with a time ${name} alone for its duration by its own clock`, async t => {
      const election = await startElection(t)
      election.server.set(heldByOther({ renewTime, leaseDurationSeconds: 7 }))
      election.elector.start()
      await election.rest()
      for (const rest of [2000, 2000, 1000]) await election.turn(rest)
      election.clock.advance(999)
      t.strictSame(election.story(), ['new leader: b'])
      election.clock.advance(1)
      await election.diary.until('leads 5')
      t.match(election.server.lease?.spec, { holderIdentity: 'a', leaseTransitions: 5 })
    })
  }

  t.test('begins to wait anew with each change of the Lease', async t => {
    const election = await startElection(t)
    election.server.set(heldByOther({ leaseDurationSeconds: 3 }))
    election.elector.start()
    await election.rest()
    for (let i = 0; i < 5; i += 1) {
      election.server.set({ renewTime: `2026-05-06T07:08:0${i}.000000Z` })
      await election.turn()
    }
    t.strictSame(election.story(), ['new leader: b'])
    await election.turn(1000)
    election.clock.advance(1000)
    await election.diary.until('leads 5')
  })

  t.test('waits its own duration where the Lease tells none', async t => {
    const election = await startElection(t, { leaseDurationMs: 3000, renewDeadlineMs: 2900 })
    election.server.set({ holderIdentity: 'b' })
    election.elector.start()
    await election.rest()
    await election.turn(1000)
    election.clock.advance(1000)
    await election.diary.until('leads 1')
  })

  t.test('takes at once what was given back', async t => {
    const election = await startElection(t)
    election.server.set(heldByOther({ holderIdentity: '' }))
    election.elector.start()
    await election.diary.until('leads 5')
    t.strictSame(election.story(), ['new leader: a', 'leads 5'])
  })

  t.test('waits for a predecessor of the same identity like for anybody', async t => {
    const election = await startElection(t)
    election.server.set(heldByOther({ holderIdentity: 'a', leaseDurationSeconds: 3 }))
    election.elector.start()
    await election.rest()
    t.equal(election.elector.isLeader, false)
    await election.turn(1000)
    election.clock.advance(1000)
    await election.diary.until('leads 5')
  })

  t.test('looks again, and complains not, when somebody was faster', async t => {
    const election = await startElection(t)
    election.server.set(heldByOther({ holderIdentity: '' }))
    election.server.script('patch', exchange => {
      election.server.set(heldByOther({ holderIdentity: 'c', leaseTransitions: 5 }))
      election.server.handle(exchange)
    })
    election.elector.start()
    await election.rest()
    await election.turn()
    t.strictSame(election.story(), ['new leader: c'])
  })

  t.test('that finds somebody in the Lease that it wanted to create leaves it to them', async t => {
    const election = await startElection(t)
    election.server.script('apply', exchange => {
      election.server.set(heldByOther())
      election.server.handle(exchange)
    })
    election.elector.start()
    await election.rest()
    t.strictSame(election.story(), ['new leader: b'])
    t.strictSame(election.server.patches, [])
  })

  t.test('gives the holder of a deleted Lease the time that it may count on', async t => {
    const election = await startElection(t)
    election.server.set(heldByOther({ leaseDurationSeconds: 5 }))
    election.elector.start()
    await election.rest()
    await election.turn()
    election.server.lease = undefined
    await election.turn()
    await election.turn()
    await election.turn(1000)
    t.strictSame(election.story(), ['new leader: b'])
    election.clock.advance(1000)
    await election.diary.until('leads 5')
    t.strictSame(election.story(), ['new leader: a', 'leads 5'], 'the numbers go on')
  })

  t.test('whose attempt was made and not answered knows it for its own', async t => {
    const election = await startElection(t)
    election.server.script('patch', exchange => {
      const { spec } = JSON.parse(exchange.body)
      election.server.set(spec)
      exchange.reset()
    })
    election.elector.start()
    await election.rest(200)
    t.match(election.server.lease?.spec, { holderIdentity: 'a', leaseTransitions: 1 })
    election.clock.advance(200)
    await election.diary.until('leads 2')
    t.match(election.story(), [/^error: /, 'new leader: a', 'leads 2'])
  })

  t.test('whose attempt was refused takes nothing that a twin of its identity wrote', async t => {
    const election = await startElection(t)
    election.server.script('patch', exchange => {
      election.server.set(JSON.parse(exchange.body).spec)
      exchange.refuse(409, 'Conflict')
    })
    election.elector.start()
    await election.rest()
    await election.turn()
    t.equal(election.elector.isLeader, false)
    t.strictSame(election.server.patches, [])
  })

  t.test('counts on no more than the others wait', async t => {
    const election = await startElection(t, { leaseDurationMs: 2500, renewDeadlineMs: 2490 })
    await election.lead()
    t.equal(election.server.lease?.spec.leaseDurationSeconds, 3)
  })

  t.test('is told of each leader once', async t => {
    const election = await startElection(t)
    election.server.set(heldByOther())
    election.elector.start()
    await election.rest()
    await election.turn()
    election.server.set({ holderIdentity: 'c' })
    await election.turn()
    await election.turn()
    election.server.set({ holderIdentity: 'b' })
    await election.turn()
    t.strictSame(election.story(), ['new leader: b', 'new leader: c', 'new leader: b'])
  })
})

test('a leader', async t => {
  t.test('renews each period, with nothing but the renewal, and never the same time twice', async t => {
    const election = await startElection(t)
    await election.lead()
    election.server.set({ strategy: 'OldestEmulationVersion' })
    for (let i = 0; i < 4; i += 1) await election.turn()
    t.strictSame(
      election.server.patches.slice(1).map(({ spec }) => spec),
      ['001', '000', '001', '000'].map(micros => ({
        leaseDurationSeconds: 15,
        renewTime: `2026-05-06T07:08:09.123${micros}Z`,
      })),
    )
    t.match(election.server.lease?.spec, { strategy: 'OldestEmulationVersion', leaseTransitions: 1 })
    t.strictSame(election.story(), ['new leader: a', 'leads 1'])
  })

  t.test('renews with some chance in the period, so that many do not come together', async t => {
    const election = await startElection(t, { random: () => 0.5 })
    election.elector.start()
    await election.rest(2200)
    t.pass()
  })

  const harmless: [string, (election: Election) => void][] = [
    ['a label is set', ({ server }) => server.set({}, { labels: { team: 'red' } })],
    [
      'somebody renews it in its stead',
      ({ server }) => server.set({ renewTime: '2026-05-06T08:00:00.000000Z' }),
    ],
    ['its duration is made longer', ({ server }) => server.set({ leaseDurationSeconds: 60 })],
  ]
  for (const [name, change] of harmless) {
    t.test(`goes on when ${name}`, async t => {
      const election = await startElection(t)
      const term = await election.lead()
      change(election)
      await election.turn()
      t.equal(term.isHeld, true)
      t.match(election.server.lease?.spec, { holderIdentity: 'a', leaseDurationSeconds: 15 })
      t.strictSame(election.story(), ['new leader: a', 'leads 1'])
    })
  }

  const losses: [string, (election: Election) => void, string][] = [
    ['somebody else is in the Lease', ({ server }) => server.set(heldByOther()), 'the Lease is held by b'],
    [
      'nobody is in the Lease any more',
      ({ server }) => server.set({ holderIdentity: '' }),
      'the Lease is held by nobody',
    ],
    [
      'its duration is made shorter than what it counts on',
      ({ server }) => server.set({ leaseDurationSeconds: 14 }),
      'the Lease was changed by somebody else',
    ],
    [
      'another process of the same identity has taken it',
      ({ server }) => server.set({ leaseTransitions: 2 }),
      'the Lease was changed by somebody else',
    ],
    [
      'the Lease was deleted',
      ({ server }) => {
        server.lease = undefined
      },
      'the Lease was deleted',
    ],
  ]
  for (const [name, change, reason] of losses) {
    t.test(`stops at once when ${name}`, async t => {
      const election = await startElection(t)
      const term = await election.lead()
      change(election)
      election.forget()
      election.clock.advance(2000)
      await election.diary.until(`stopped: ${reason}`)
      t.equal(term.isHeld, false)
      t.match(term.signal.reason, { code: 'NOT_LEADER', message: `no longer the leader: ${reason}` })
      t.throws(() => term.assertHeld(), { code: 'NOT_LEADER' })
    })
  }

  t.test('makes the Lease again that was deleted under it, for another term', async t => {
    const election = await startElection(t)
    const first = await election.lead()
    election.server.lease = undefined
    election.clock.advance(2000)
    await election.diary.until('leads 2')
    t.equal(first.isHeld, false)
    t.match(election.term, { isHeld: true, number: 2 }, 'the number goes on, though the new Lease knows none')
    t.strictSame(election.story(), ['new leader: a', 'leads 1', 'stopped: the Lease was deleted', 'leads 2'])
  })

  t.test('need not wait for the one before when its own Lease is deleted', async t => {
    const election = await startElection(t)
    election.server.set(heldByOther({ leaseDurationSeconds: 1 }))
    election.elector.start()
    await election.rest(1000)
    election.clock.advance(1000)
    await election.diary.until('leads 5')
    await election.rest()
    election.server.lease = undefined
    await election.turn()
    t.match(election.term, { isHeld: true, number: 6 })
  })

  t.test('whose renewal was made and not answered goes on from the next', async t => {
    const election = await startElection(t)
    const term = await election.lead()
    election.server.script('patch', exchange => {
      election.server.set(JSON.parse(exchange.body).spec)
      exchange.reset()
    })
    await election.turn(200)
    election.forget()
    election.clock.advance(200)
    await election.rest()
    t.equal(term.isHeld, true)
    t.match(election.story(), ['new leader: a', 'leads 1', /^error: /])
  })
})

test('failures', async t => {
  const failures: [string, Parameters<Election['server']['script']>[1], RegExp][] = [
    ['401', exchange => exchange.refuse(401, 'Unauthorized'), /401/],
    ['403', exchange => exchange.refuse(403, 'Forbidden'), /403/],
    ['429', exchange => exchange.refuse(429), /429/],
    ['500', exchange => exchange.refuse(500), /500/],
    ['503', exchange => exchange.refuse(503), /503/],
    ['a reset', exchange => exchange.reset(), /./],
    ['an answer that is not JSON', exchange => exchange.raw('<html>'), /./],
    [
      'an answer that is no Lease',
      exchange => exchange.json({ kind: 'Status' }),
      /something else than a Lease/,
    ],
    ['an answer that is null', exchange => exchange.json(null), /something else than a Lease/],
  ]
  for (const [name, fail, message] of failures) {
    t.test(`${name}: told, and tried again, before and while leading`, async t => {
      const election = await startElection(t)
      for (const kind of ['get', 'apply', 'patch'] as const) {
        election.server.script(kind, exchange => {
          fail(exchange)
          if (name.includes('not JSON')) exchange.end()
        })
      }
      election.elector.start()
      for (let i = 0; i < 3; i += 1) {
        await election.rest(200)
        election.forget()
        election.clock.advance(200)
      }
      await election.rest()
      election.server.script('patch', exchange => {
        fail(exchange)
        if (name.includes('not JSON')) exchange.end()
      })
      await election.turn(200)
      election.forget()
      election.clock.advance(200)
      await election.rest()
      const story = election.story()
      const errors = story.filter(line => line.startsWith('error'))
      t.equal(errors.length, 4)
      for (const line of errors) t.match(line, message)
      t.match(story.at(-1), /^error/)
      t.equal(election.terms.length, 1)
      t.equal(election.elector.isLeader, true)
    })
  }

  t.test('a namespace that is not there is told, and waited for', async t => {
    const election = await startElection(t)
    election.server.script('get', exchange => exchange.refuse(404, 'NotFound'))
    election.server.script('apply', exchange => exchange.refuse(404, 'NotFound'))
    election.elector.start()
    await election.rest(200)
    election.clock.advance(200)
    await election.diary.until('leads 1')
    t.match(election.story(), [/^error: 404/, 'new leader: a', 'leads 1'])
  })

  t.test('waits grow to the duration of the Lease and no further, whatever the server asks', async t => {
    const election = await startElection(t, { random: () => 0.999 })
    const waits: number[] = []
    election.elector.start()
    for (let i = 0; i < 10; i += 1) {
      election.server.script('get', exchange =>
        i === 9 ? exchange.refuse(503, '', { 'retry-after': '3600' }) : exchange.refuse(500),
      )
    }
    for (let i = 0; i < 10; i += 1) {
      await election.diary.until('get')
      let sleeping: string | undefined
      while (sleeping === undefined) {
        await new Promise(resolve => setImmediate(resolve))
        sleeping = election.diary.lines.findLast(line => /^timer (?!5000$)/.test(line))
      }
      waits.push(Number(sleeping.slice('timer '.length)))
      election.diary.take()
      election.clock.advance(60_000)
    }
    t.ok(waits.every((wait, i) => wait >= 200 && wait <= 15_000 && (i === 0 || wait >= (waits[i - 1] ?? 0))))
    t.ok((waits[0] ?? 0) < 500)
    t.equal(waits.at(-1), 15_000)
  })

  t.test('waits are short again after a success', async t => {
    let chance = 0
    const election = await startElection(t, { random: () => chance })
    await election.lead()
    await election.fail(3)
    election.forget()
    election.clock.advance(200)
    await election.rest()
    chance = 0.5
    election.server.script('patch', exchange => exchange.refuse(503))
    await election.turn(300)
    t.equal(election.elector.isLeader, true)
  })

  t.test('a write that a webhook turned into none counts for nothing', async t => {
    const election = await startElection(t)
    const term = await election.lead()
    election.server.script('patch', exchange => exchange.json(election.server.lease))
    await election.turn(200)
    t.match(election.story().at(-1), /^error: accepted, and something else was stored/)
    election.server.script('patch', () => {})
    election.clock.advance(7999)
    t.equal(term.isHeld, true)
    election.clock.advance(1)
    t.equal(term.isHeld, false)
  })

  t.test('of the callbacks are told and end nothing', async t => {
    const election = await startElection(t, {
      onStopped: async () => {
        throw new Error('cannot stop')
      },
      onNewLeader: () => {
        throw new Error('no news')
      },
    })
    await election.lead()
    election.server.set(heldByOther())
    election.clock.advance(2000)
    await election.diary.until('error: cannot stop')
    t.strictSame(election.story().slice(0, 2), ['error: no news', 'leads 1'])
  })

  t.test('that cannot even be told end nothing', async t => {
    const election = await startElection(t, {
      onError: () => {
        throw new Error('deaf')
      },
    })
    election.server.script('get', exchange => exchange.refuse(500))
    election.elector.start()
    await election.rest(200)
    election.clock.advance(200)
    await election.diary.until('leads 1')
  })

  for (const kind of ['throws', 'rejects'] as const) {
    t.test(`of work that ${kind} end the term, and leave the Lease to whoever comes first`, async t => {
      let starts = 0
      const work = (election: () => Election) => {
        starts += 1
        election().diary.add(`leads ${starts}`)
        if (starts > 1) return undefined
        if (kind === 'throws') throw new Error('cannot work')
        return Promise.reject(new Error('cannot work'))
      }
      const election: Election = await startElection(t, { onStarted: () => work(() => election) })
      election.elector.start()
      await election.diary.until('stopped: its work failed: cannot work')
      t.equal(election.elector.isLeader, false)
      await election.rest()
      for (let i = 0; i < 7; i += 1) await election.turn()
      t.equal(starts, 1)
      await election.turn(1000)
      election.clock.advance(1000)
      await election.diary.until('leads 2')
      t.match(election.story(), [
        'new leader: a',
        'leads 1',
        'error: cannot work',
        'stopped: its work failed: cannot work',
        'leads 2',
      ])
    })
  }

  t.test('of work that the end of the term caused are no failures', async t => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const election: Election = await startElection(t, {
      onStarted: async term => {
        election.diary.add('leads 1')
        await promise
        term.assertHeld()
      },
    })
    election.elector.start()
    await election.diary.until('leads 1')
    await election.rest()
    election.server.set(heldByOther())
    await election.turn()
    resolve()
    await election.turn()
    t.strictSame(election.story(), [
      'new leader: a',
      'leads 1',
      'stopped: the Lease is held by b',
      'new leader: b',
    ])
  })
})

test('settings', async t => {
  const refused: [string, Partial<LeaderElectorOptions>][] = [
    ['a deadline beyond the duration', { renewDeadlineMs: 15_000 }],
    ['a period beyond the deadline', { retryPeriodMs: 9000 }],
    ['no period', { retryPeriodMs: 0 }],
    ['a duration that is no number', { leaseDurationMs: Number.NaN }],
    ['an endless duration', { leaseDurationMs: Number.POSITIVE_INFINITY }],
    ['no identity', { identity: '' }],
  ]
  for (const [name, options] of refused) {
    t.test(`${name} is refused`, async t => {
      await t.rejects(startElection(t, options), { code: 'BAD_SETTINGS' })
    })
  }

  t.test('have defaults', async t => {
    const api = await FakeApi.start(t)
    const client = makeClient(t, api)
    const onStarted = () => {}
    const elector = new LeaderElector({
      client,
      namespace: 'n',
      name: 'l',
      identity: 'a',
      onStarted,
      onStopped: onStarted,
    })
    api.answer(exchange => exchange.refuse(403))
    elector.start()
    elector.start()
    await new Promise(resolve => setTimeout(resolve, 50))
    t.equal(api.seen.length, 1)
    await elector.stop()
    await elector.stop()
  })

  t.test('identities are of one process', async t => {
    t.match(leaseIdentity('node-1'), /^node-1_[0-9a-f-]{36}$/)
    t.not(leaseIdentity('node-1'), leaseIdentity('node-1'))
  })
})
