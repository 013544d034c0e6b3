import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type ControlPlane, controlPlaneOrSkip } from '../helpers/control-plane.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { LeaderProcess, now, overlapsOf, reignsOf } from '../helpers/leaders.ts'
import { Random } from '../helpers/random.ts'

/** Short, and still long beside the pauses of a busy machine. */
const TIMES = { leaseDurationMs: 3000, renewDeadlineMs: 2000, retryPeriodMs: 300 }

/** Two or more processes that stand for the same Lease, the first of which leads. */
async function startProcesses(t: Test, controlPlane: ControlPlane, { count = 2, times = TIMES } = {}) {
  const namespace = await controlPlane.namespace(t)
  const configMap = 'work'
  const path = `/api/v1/namespaces/${namespace}/configmaps/${configMap}`
  await controlPlane.ask('POST', path.replace(/\/work$/, ''), { body: { metadata: { name: configMap } } })
  const { kubeconfigPath: kubeconfig } = controlPlane
  const leaders: LeaderProcess[] = []
  const start = async () => {
    const identity = `p${leaders.length + 1}`
    const settings = { kubeconfig, namespace, name: 'helper', identity, configMap, tickMs: 20, ...times }
    const leader = await LeaderProcess.start(t, settings)
    leaders.push(leader)
    return leader
  }
  const first = await start()
  await first.until('leads')
  await Promise.all(
    Array.from({ length: count - 1 }, start).map(async leader => (await leader).until('follows')),
  )
  return { namespace, path, leaders, first, start }
}

/** Milliseconds that a take-over may come after the duration: until the last renewal was seen, and a busy machine. */
const SLACK = TIMES.retryPeriodMs * 1.2 + 1500

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  t.test('when the leader is killed another leads after the duration, and not before', async t => {
    const { leaders, first } = await startProcesses(t, controlPlane)
    await delay(1000)
    await first.kill()
    const killed = now()
    const [, second] = leaders
    const { at } = (await second?.until('leads', killed)) ?? { at: 0 }
    t.comment(`another leads ${(at - killed).toFixed(0)} ms after the kill; the duration is 3000`)
    t.ok(at - killed > TIMES.leaseDurationMs - TIMES.retryPeriodMs * 1.2 - 100, `${at - killed}`)
    t.ok(at - killed < TIMES.leaseDurationMs + SLACK, `${at - killed}`)
    t.strictSame(overlapsOf(reignsOf(leaders)), [])
  })

  t.test(
    'a leader that was stopped and continued knows that it is none before it writes anything',
    async t => {
      const { leaders, first } = await startProcesses(t, controlPlane)
      const [, second] = leaders
      await delay(700)
      first.signal('SIGSTOP')
      const stopped = now()
      const { at } = (await second?.until('leads', stopped)) ?? { at: 0 }
      t.comment(`another leads ${(at - stopped).toFixed(0)} ms after the stop`)
      t.ok(at - stopped < TIMES.leaseDurationMs + SLACK)
      await delay(500)
      const continued = now()
      first.signal('SIGCONT')
      const noticed = await first.until('stopped', continued)
      t.comment(`noticed ${(noticed.at - continued).toFixed(1)} ms after it was continued`)
      t.equal(noticed.reason, 'not renewed within 2 s')
      await first.until('follows', continued)
      const after = first.lines.filter(line => line.at >= continued)
      t.notOk(after.some(({ event }) => event === 'writes'))
      t.strictSame(overlapsOf(reignsOf(leaders)), [])
      await second?.until('writes', noticed.at)
    },
  )

  t.test('a write that a former leader had decided on is refused by its precondition', async t => {
    const { leaders, first, path } = await startProcesses(t, controlPlane)
    const [, second] = leaders
    await first.until('writes')
    first.send('freeze')
    const { at: frozen } = await first.until('freezes')
    await second?.until('leads', frozen)
    // Its first write may not have come to the apiserver yet.
    await controlPlane.waitFor<KubeObject & { data?: { by?: string } }>(path, ({ data }) => data?.by === 'p2')
    const continued = now()
    first.signal('SIGCONT')
    const refused = await first.until('refused', continued)
    t.match(refused, { number: 1, conflict: true }, 'it reached the apiserver, which said 409')
    await first.until('stopped', continued)
    await first.until('follows', continued)
    await second?.until('writes', now())
    const { data } = await controlPlane.ask<KubeObject & { data: { by: string } }>('GET', path)
    t.equal(data.by, 'p2')
    t.strictSame(overlapsOf(reignsOf(leaders)), [])
  })

  t.test('of processes that are stopped, continued and killed at random two never lead at once', async t => {
    const times = { leaseDurationMs: 1000, renewDeadlineMs: 700, retryPeriodMs: 150 }
    const { leaders, start } = await startProcesses(t, controlPlane, { count: 4, times })
    const seed = Number(process.env.LEASE_SEED ?? 7)
    const random = new Random(seed)
    const end = now() + Number(process.env.LEASE_SECONDS ?? 15) * 1000
    const free = new Set(leaders)
    const torment = async (leader: LeaderProcess) => {
      free.delete(leader)
      if (random.chance(0.1)) {
        await leader.kill()
        free.add(await start())
        return
      }
      leader.signal('SIGSTOP')
      await delay(random.below(2500))
      leader.signal('SIGCONT')
      free.add(leader)
    }
    const haunt = async () => {
      while (now() < end) {
        await delay(random.below(600))
        // Mostly whoever leads: the others do no harm.
        const [first] = free
        const leader = random.chance(0.8) ? ([...free].find(isLeading) ?? first) : first
        if (leader !== undefined) await torment(leader)
      }
    }
    await Promise.all([haunt(), haunt()])
    const calm = now()
    await Promise.race([...free].map(leader => leader.until('writes', calm)))
    const reigns = reignsOf(leaders)
    const refusals = leaders.flatMap(({ lines }) => lines.filter(({ event }) => event === 'refused'))
    t.comment(
      `LEASE_SEED=${seed}: ${reigns.length} terms of ${leaders.length} processes, ${refusals.length} late writes refused`,
    )
    t.ok(reigns.length > 3)
    t.strictSame(overlapsOf(reigns), [])
  })
}

function isLeading({ lines }: LeaderProcess): boolean {
  return lines.findLast(({ event }) => event === 'leads' || event === 'stopped')?.event === 'leads'
}
