import { test } from 'tap'
import type { Term } from '../../../src/kube/lease.ts'
import { type Election, heldByOther, startElection } from '../../helpers/elections.ts'
import type { Exchange } from '../../helpers/fake-api.ts'

test('a term', async t => {
  t.test('ends when no renewal succeeded for the deadline, to the millisecond', async t => {
    const election = await startElection(t)
    const term = await election.lead()
    await election.turn()
    for (let i = 0; i < 100; i += 1) election.server.script('patch', exchange => exchange.refuse(500))
    await election.turn(200)
    // The last success was sent 2 s ago.
    election.clock.advance(7999)
    t.equal(term.signal.aborted, false)
    t.equal(term.isHeld, true)
    election.clock.advance(1)
    t.equal(term.signal.aborted, true)
    t.equal(election.elector.isLeader, false)
    t.match(election.story().at(-1), 'stopped: not renewed within 10 s')
  })

  t.test('ends while a renewal hangs, after a second attempt was made', async t => {
    const election = await startElection(t)
    const term = await election.lead()
    const hang = () => election.diary.add('hangs')
    election.server.script('patch', hang)
    election.server.script('patch', hang)
    election.forget()
    election.clock.advance(2000)
    await election.diary.until('hangs')
    election.clock.advance(5000)
    await election.rest(200)
    t.match(election.story().at(-1), 'error: no answer within 5 s')
    election.clock.advance(200)
    await election.diary.until('hangs')
    t.ok(election.diary.lines.includes('timer 2800'), 'what is left of the deadline limits it')
    election.clock.advance(2799)
    t.equal(term.signal.aborted, false)
    election.clock.advance(1)
    t.equal(term.signal.aborted, true)
    t.match(term.signal.reason, { code: 'NOT_LEADER' })
  })

  t.test('counts from when the renewal was sent, not from when it was answered', async t => {
    const election = await startElection(t)
    const term = await election.lead()
    const late = Promise.withResolvers<Exchange>()
    election.server.script('patch', exchange => late.resolve(exchange))
    election.clock.advance(2000)
    const exchange = await late.promise
    election.clock.advance(4000)
    election.forget()
    election.server.handle(exchange)
    await election.rest()
    t.ok(election.diary.lines.includes('timer 6000'), 'of ten seconds, four are over')
    for (let i = 0; i < 100; i += 1) election.server.script('patch', exchange => exchange.refuse(500))
    election.clock.advance(5999)
    t.equal(term.isHeld, true)
    election.clock.advance(1)
    t.equal(term.isHeld, false)
  })

  t.test('that ran out is followed by another, once the API answers, if nobody came between', async t => {
    const election = await startElection(t)
    const first = await election.lead()
    for (let i = 0; i < 3; i += 1) election.server.script('patch', exchange => exchange.refuse(500))
    election.clock.advance(10_000)
    await election.diary.until('stopped: not renewed within 10 s')
    election.clock.advance(2000)
    for (let i = 0; election.terms.length < 2 && i < 10; i += 1) {
      await election.diary.until('get')
      await new Promise(resolve => setTimeout(resolve, 20))
      election.clock.advance(2000)
    }
    t.equal(first.isHeld, false)
    t.match(election.term, { number: 2, isHeld: true })
    t.match(election.server.lease?.spec, { holderIdentity: 'a', leaseTransitions: 2 })
  })
})

test('a process that was paused', async t => {
  const questions: [string, (election: Election, term: Term) => unknown][] = [
    ['the elector', ({ elector }) => elector.isLeader],
    ['the term', (_, term) => term.isHeld],
    [
      'before a write',
      (_, term) => {
        try {
          term.assertHeld()
          return true
        } catch (error) {
          t.match(error, { code: 'NOT_LEADER' })
          return false
        }
      },
    ],
  ]
  for (const [name, ask] of questions) {
    t.test(`knows that it leads no longer as soon as it is asked: ${name}`, async t => {
      const election = await startElection(t)
      const term = await election.lead()
      election.clock.pause(9999)
      t.equal(ask(election, term), true)
      election.clock.pause(1)
      t.equal(ask(election, term), false)
      t.equal(term.signal.aborted, true)
      t.strictSame(election.story().at(-1), 'stopped: not renewed within 10 s')
    })
  }

  t.test('looks before it writes, though it is time to renew', async t => {
    const election = await startElection(t)
    const term = await election.lead()
    election.server.set(heldByOther())
    election.clock.pause(60_000)
    election.diary.take()
    await election.turn()
    t.strictSame(
      election.diary.lines.filter(line => !line.startsWith('timer')),
      ['stopped: not renewed within 10 s', 'get', 'new leader: b'],
    )
    t.equal(term.isHeld, false)
  })

  t.test('is not revived by an answer that came meanwhile', async t => {
    const election = await startElection(t)
    const term = await election.lead()
    const arrived = Promise.withResolvers<Exchange>()
    election.server.script('patch', exchange => arrived.resolve(exchange))
    election.clock.advance(2000)
    const exchange = await arrived.promise
    election.clock.pause(20_000)
    election.diary.take()
    election.server.handle(exchange)
    await election.diary.until('stopped: not renewed within 10 s')
    t.equal(term.isHeld, false)
  })

  t.test('while it looked why its renewal was refused renews nothing', async t => {
    const election = await startElection(t)
    await election.lead()
    election.server.set({}, { labels: { team: 'red' } })
    const asked = Promise.withResolvers<Exchange>()
    election.server.script('get', exchange => asked.resolve(exchange))
    election.clock.advance(2000)
    const exchange = await asked.promise
    election.clock.pause(20_000)
    election.diary.take()
    election.server.handle(exchange)
    await election.diary.until('leads 2')
    t.strictSame(
      election.diary.lines.filter(line => !line.startsWith('timer')),
      ['stopped: not renewed within 10 s', 'get', 'patch', 'leads 2'],
    )
  })

  t.test('while it took the Lease never led', async t => {
    const election = await startElection(t)
    const arrived = Promise.withResolvers<Exchange>()
    election.server.script('patch', exchange => arrived.resolve(exchange))
    election.elector.start()
    const exchange = await arrived.promise
    election.clock.pause(10_000)
    election.server.handle(exchange)
    await election.rest()
    t.strictSame(election.story(), [])
    t.equal(election.elector.isLeader, false)
    await election.turn()
    t.strictSame(election.story(), ['new leader: a', 'leads 2'], 'the Lease is its own, so it need not wait')
  })

  t.test('while it waited takes nothing that was renewed meanwhile', async t => {
    const election = await startElection(t)
    election.server.set(heldByOther())
    election.elector.start()
    await election.rest()
    const asked = Promise.withResolvers<Exchange>()
    election.server.script('get', exchange => asked.resolve(exchange))
    election.clock.advance(2000)
    const exchange = await asked.promise
    // The answer is in the socket; then the process sleeps for an hour, and the holder goes on.
    election.server.handle(exchange)
    election.clock.pause(3_600_000)
    election.server.set({ renewTime: '2026-05-06T09:00:00.000000Z' })
    election.forget()
    await election.rest()
    t.strictSame(election.server.patches, [], 'refused for its version')
    await election.turn()
    t.strictSame(election.story(), ['new leader: b'])
  })
})

test('a stop', async t => {
  t.test('ends the work first, and then gives the Lease back', async t => {
    const work = Promise.withResolvers<void>()
    const election: Election = await startElection(t, {
      onStopped: reason => {
        election.diary.add(`stopped: ${reason}`)
        return work.promise
      },
    })
    const term = await election.lead()
    const { holderIdentity } = election.server.lease?.spec ?? {}
    const stopped = election.elector.stop()
    t.equal(term.signal.aborted, true, 'at once')
    t.equal(election.story().at(-1), 'stopped: stopped')
    await new Promise(resolve => setTimeout(resolve, 20))
    t.equal(election.server.lease?.spec.holderIdentity, holderIdentity, 'not before the work has ended')
    work.resolve()
    await stopped
    t.match(election.server.lease?.spec, {
      holderIdentity: '',
      leaseDurationSeconds: 1,
      leaseTransitions: 1,
      acquireTime: '2026-05-06T07:08:09.123000Z',
    })
    t.equal(election.elector.isLeader, false)
  })

  t.test('lets a renewal that is under way end, so that it cannot come after', async t => {
    const election = await startElection(t)
    await election.lead()
    const arrived = Promise.withResolvers<Exchange>()
    election.server.script('patch', exchange => arrived.resolve(exchange))
    election.clock.advance(2000)
    const exchange = await arrived.promise
    const stopped = election.elector.stop()
    election.server.handle(exchange)
    await stopped
    t.equal(election.server.lease?.spec.holderIdentity, '')
    t.equal(election.story().filter(line => line.startsWith('error')).length, 0)
  })

  t.test('gives back what it took while it was asked to stop, without leading', async t => {
    const election = await startElection(t)
    const arrived = Promise.withResolvers<Exchange>()
    election.server.script('patch', exchange => arrived.resolve(exchange))
    election.elector.start()
    const exchange = await arrived.promise
    const stopped = election.elector.stop()
    election.server.handle(exchange)
    await stopped
    t.strictSame(election.story(), [])
    t.match(election.server.lease?.spec, { holderIdentity: '', leaseTransitions: 1 })
  })

  t.test('gives the Lease back though somebody labels it meanwhile', async t => {
    const election = await startElection(t)
    await election.lead()
    election.server.set({}, { labels: { team: 'red' } })
    const stopped = election.elector.stop()
    await election.rest(200)
    election.clock.advance(200)
    await stopped
    t.equal(election.server.lease?.spec.holderIdentity, '')
  })

  t.test('leaves alone what is not ours any more', async t => {
    const election = await startElection(t)
    await election.lead()
    election.server.set(heldByOther())
    const stopped = election.elector.stop()
    await election.rest(200)
    election.clock.advance(200)
    await stopped
    t.equal(election.server.lease?.spec.holderIdentity, 'b')
    t.equal(election.server.patches.length, 1)
  })

  t.test('writes nothing into a Lease that was seen to be lost', async t => {
    const election = await startElection(t)
    await election.lead()
    election.clock.pause(20_000)
    election.server.set(heldByOther())
    await election.turn()
    election.diary.take()
    await election.elector.stop()
    t.notOk(election.diary.lines.includes('patch'))
  })

  t.test('in an outage tries soon again, however long the waits had become', async t => {
    let chance = 0
    const election = await startElection(t, { random: () => chance })
    await election.lead()
    await election.fail(3)
    chance = 0.5
    election.server.script('patch', exchange => exchange.refuse(503))
    const stopped = election.elector.stop()
    await election.rest(300)
    election.clock.advance(300)
    await stopped
    t.equal(election.server.lease?.spec.holderIdentity, '')
  })

  t.test('of a candidate that waits writes nothing, and does not wait for an answer', async t => {
    const election = await startElection(t)
    election.server.set(heldByOther())
    election.elector.start()
    await election.rest()
    const asked = Promise.withResolvers<void>()
    election.server.script('get', () => asked.resolve())
    election.clock.advance(2000)
    await asked.promise
    const start = performance.now()
    await election.elector.stop()
    t.ok(performance.now() - start < 5000, 'the clock of the limits stands still meanwhile')
    t.strictSame(election.server.patches, [])
    t.strictSame(election.story(), ['new leader: b'])
  })

  t.test('takes no longer than its limit when nothing answers, and says what that means', async t => {
    const election = await startElection(t, { stopTimeoutMs: 3000 })
    const term = await election.lead()
    election.server.script('patch', () => election.diary.add('hangs'))
    const stopped = election.elector.stop()
    t.equal(term.isHeld, false)
    await election.diary.until('hangs')
    election.clock.advance(3000)
    await stopped
    t.match(
      election.story().at(-1),
      /^error: the Lease was not given back and has to run out: not ended within 3 s/,
    )
  })

  t.test('does not give the Lease back while the work goes on', async t => {
    const election = await startElection(t, { onStopped: () => new Promise(() => {}) })
    await election.lead()
    const stopped = election.elector.stop()
    election.clock.advance(5000)
    await stopped
    t.equal(election.server.lease?.spec.holderIdentity, 'a')
    t.match(election.story().at(-1), /^error: the Lease was not given back/)
  })

  t.test('gives up after some attempts that are refused', async t => {
    const election = await startElection(t)
    await election.lead()
    for (let i = 0; i < 3; i += 1) election.server.script('patch', exchange => exchange.refuse(403))
    const stopped = election.elector.stop()
    for (let i = 0; i < 2; i += 1) {
      await election.rest(200)
      election.forget()
      election.clock.advance(200)
    }
    await stopped
    t.match(election.story().at(-1), /^error: the Lease was not given back .* 403/)
  })

  t.test('is the end of all callbacks', async t => {
    const work = Promise.withResolvers<void>()
    const election: Election = await startElection(t, {
      onStarted: () => {
        election.diary.add('leads 1')
        return work.promise
      },
    })
    election.elector.start()
    await election.diary.until('leads 1')
    await election.elector.stop()
    election.diary.take()
    work.reject(new Error('cannot work'))
    await new Promise(resolve => setTimeout(resolve, 20))
    t.strictSame(election.diary.lines, [])
  })

  t.test('may come from the work itself, and a start may follow', async t => {
    let isFirst = true
    const election: Election = await startElection(t, {
      onStarted: term => {
        election.diary.add(`leads ${term.number}`)
        if (isFirst) void election.elector.stop().then(() => election.diary.add('ended'))
        isFirst = false
      },
    })
    election.elector.start()
    await election.diary.until('ended')
    t.equal(election.elector.isLeader, false)
    t.equal(election.server.lease?.spec.holderIdentity, '')
    election.elector.start()
    await election.diary.until('leads 2')
    t.equal(election.elector.isLeader, true)
  })

  t.test('before the start, and right after it, is nothing', async t => {
    const election = await startElection(t)
    await election.elector.stop()
    election.elector.start()
    await election.elector.stop()
    t.equal(election.server.lease, undefined)
    t.strictSame(election.story(), [])
  })
})

test('another term waits for the work of the last one', async t => {
  const work = Promise.withResolvers<void>()
  const election: Election = await startElection(t, {
    onStopped: reason => {
      election.diary.add(`stopped: ${reason}`)
      return work.promise
    },
  })
  await election.lead()
  election.clock.pause(20_000)
  t.equal(election.elector.isLeader, false)
  election.diary.take()
  election.clock.advance(2000)
  await new Promise(resolve => setTimeout(resolve, 30))
  t.notOk(election.diary.lines.includes('get'))
  work.resolve()
  await election.diary.until('leads 2')
})

test('work of a former term that fails late does no harm to the next', async t => {
  const works = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const election: Election = await startElection(t, {
    onStarted: term => {
      election.terms.push(term)
      election.diary.add(`leads ${term.number}`)
      return works[term.number - 1]?.promise
    },
  })
  await election.lead()
  election.clock.pause(20_000)
  await election.turn()
  t.match(election.term, { number: 2, isHeld: true })
  works[0]?.reject(new Error('late'))
  await election.diary.until('error: late')
  election.server.set({}, { labels: { team: 'red' } })
  await election.turn()
  t.equal(election.term.number, 2)
  t.equal(election.term.isHeld, true)
})
