import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type ControlPlane, controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { freePorts } from '../helpers/free-ports.ts'
import { prepareHelper, REGISTRATIONS } from '../helpers/helper.ts'
import { leaderOf, leads, leasePath, startHelperProcess } from '../helpers/helper-processes.ts'
import { startTestWebhook } from '../helpers/webhook.ts'

const NAME = 'leading'
const LEASE_SECONDS = 3
const MUTATING = `${REGISTRATIONS}/mutatingwebhookconfigurations/${NAME}`

/** Deletes the registration, and waits until somebody has put it back; how long that took, in seconds. */
async function timeOfHealing(controlPlane: ControlPlane): Promise<number> {
  const { metadata } = await controlPlane.waitFor(MUTATING, () => true)
  const started = performance.now()
  await controlPlane.ask('DELETE', MUTATING)
  await controlPlane.waitFor(MUTATING, now => now.metadata.uid !== metadata.uid, { timeout: 20_000 })
  return (performance.now() - started) / 1000
}

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  const [port = 0] = await freePorts(1)
  const kubeconfig = await prepareHelper({ controlPlane, name: NAME })
  const start = (t: Test) =>
    startHelperProcess(t, { name: NAME, kubeconfig, webhookPort: port, args: ['--log-level', 'debug'] })
  const settings = { installNamespace: NAME }
  const webhook = await startTestWebhook(t, { controlPlane, port, certSecret: `${NAME}-tls`, settings })

  t.test('of two helpers one leads; killed, the other takes over', async t => {
    const helpers = [start(t), start(t)]
    await webhook.ready(30_000)
    const first = await leaderOf(helpers, 20_000)
    t.ok((await timeOfHealing(controlPlane)) < 5)
    const [other = first] = helpers.filter(one => one !== first)
    t.notOk(leads(other))
    const killed = performance.now()
    first.signal('SIGKILL')
    await first.exited
    const healing = timeOfHealing(controlPlane)
    await leaderOf([other], 20_000)
    const seconds = (performance.now() - killed) / 1000
    t.comment(`the other leads ${seconds.toFixed(2)} s after; the Lease lasts ${LEASE_SECONDS} s`)
    t.ok(seconds < LEASE_SECONDS + 2)
    t.comment(`what was damaged meanwhile is healed after ${(await healing).toFixed(2)} s`)
    other.signal('SIGTERM')
    t.match(await other.exited, { status: 0 })
  })

  t.test('told to end, the leader gives the Lease back, and the next leads at once', async t => {
    const helpers = [start(t), start(t)]
    const first = await leaderOf(helpers, 20_000)
    const [other = first] = helpers.filter(one => one !== first)
    await other.logged('standing for election')
    await other.logged('who leads has changed')
    const told = performance.now()
    first.signal('SIGTERM')
    await leaderOf([other], 20_000)
    const seconds = (performance.now() - told) / 1000
    t.comment(`the other leads ${seconds.toFixed(2)} s after`)
    t.ok(seconds < LEASE_SECONDS - 1, 'sooner than the Lease would have run out')
    t.match(await first.exited, { status: 0 })
    t.match(first.log.at(-1), { msg: 'stopped' })
    other.signal('SIGTERM')
    await other.exited
    t.match(await controlPlane.ask('GET', leasePath(NAME)), { spec: { holderIdentity: '' } })
  })

  t.test('a leader that was paused for longer than its Lease finds out, and stands by', async t => {
    const helpers = [start(t), start(t)]
    const first = await leaderOf(helpers, 20_000)
    const [other = first] = helpers.filter(one => one !== first)
    await other.logged('who leads has changed')
    const before = first.log.length
    first.signal('SIGSTOP')
    await leaderOf([other], 20_000)
    await timeOfHealing(controlPlane)
    first.signal('SIGCONT')
    await first.logged('not leading any more')
    await delay(LEASE_SECONDS * 1000)
    t.ok(leads(other))
    t.notOk(leads(first))
    t.ok((await timeOfHealing(controlPlane)) < 5, 'the other goes on')
    const writes = first.log.slice(before).filter(line => 'configuration' in line)
    t.strictSame(writes, [], 'the one that was paused writes nothing more')
  })
}
