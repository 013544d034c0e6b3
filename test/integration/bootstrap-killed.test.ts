/** `vnode bootstrap` killed (SIGKILL) wherever it can be, then run again: one VNode, one record, nothing left lying about. */
import t, { type Test } from 'tap'
import type { IdentityKind } from '../../src/core/vnode/identity.ts'
import type { EciClient } from '../../src/eci/virtual-node.ts'
import { startTestApprover } from '../helpers/approver.ts'
import {
  BOOTSTRAP_CONTROL_PLANE,
  bootstrap,
  grantVnodes,
  leftBy,
  prepareBootstrap,
  recordOf,
} from '../helpers/bootstrap.ts'
import { BootstrapProcess, bundleBootstrap } from '../helpers/bootstrap-process.ts'
import { VPC_APISERVER } from '../helpers/bootstrap-run.ts'
import { type ControlPlane, controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { eciClient } from '../helpers/eci-client.ts'
import { type FakeEci, fakeEci } from '../helpers/fake-eci/server.ts'
import { Random } from '../helpers/random.ts'

const RANDOM_MOMENTS = 50
/** So many processes start while others run. */
const AT_ONCE = 3

interface World {
  readonly program: string
  readonly controlPlane: ControlPlane
  readonly fake: FakeEci
  readonly eci: EciClient
}

interface Killed {
  readonly name: string
  readonly identity: IdentityKind
  readonly killAt?: number
  /** Milliseconds after it has begun. */
  readonly killAfter?: number
}

/** Kills one run, has another come to its end, and looks at what there is. */
async function killAndRunAgain(t: Test, world: World, killed: Killed): Promise<number> {
  const { controlPlane, fake, eci } = world
  const { name, identity, killAt, killAfter } = killed
  const kubeconfig = await prepareBootstrap({ controlPlane, name, identity })
  const options = { ...world, name, identity, kubeconfig }
  const first = await BootstrapProcess.start(killAt === undefined ? options : { ...options, killAt })
  first.begin()
  const timer = killAfter === undefined ? undefined : setTimeout(() => first.kill(), killAfter)
  const isKilled = await first.ended()
  clearTimeout(timer)
  const last = first.lines.at(-1)
  // How often a Node's condition is seen to change differs from run to run.
  if (killAt !== undefined) t.ok(isKilled || first.lines.length <= killAt, `killed at notice ${killAt}`)
  const { registration } = await bootstrap({ controlPlane, name, identity, eci, kubeconfig })
  const mine = fake.world.virtualNodes.filter(one => one.name === name)
  const where = `${name}, killed after: ${last?.reason ?? 'nothing'}`
  t.strictSame(
    mine.map(({ id }) => id),
    [registration.virtualNodeId],
    `${where}: one VNode, ever`,
  )
  const calls = fake
    .callsOf('CreateVirtualNode')
    .filter(call => call.parameters.get('VirtualNodeName') === name)
  t.equal(new Set(calls.map(({ body }) => body)).size, 1, `${where}: one request, byte for byte`)
  t.match(await recordOf(controlPlane, name), { virtualNodeId: registration.virtualNodeId, name }, where)
  const left =
    identity === 'tls-bootstrap'
      ? ['bootstrap-token', `secret/${name}-vnode`]
      : [`secret/${name}-vnode`, `secret/${name}-vnode-token`, `serviceaccount/${name}-vnode`]
  t.strictSame(await leftBy(controlPlane, name), left, `${where}: nothing else`)
  return first.lines.length
}

/** How many notices a run says, and how long it takes. */
async function measure(world: World, identity: IdentityKind): Promise<{ notices: number; ms: number }> {
  const name = `measured-${identity}`
  const kubeconfig = await prepareBootstrap({ ...world, name, identity })
  const run = await BootstrapProcess.start({ ...world, name, identity, kubeconfig })
  const begun = performance.now()
  run.begin()
  await run.ended()
  // The last line is the result.
  return { notices: run.lines.length - 1, ms: performance.now() - begun }
}

async function allOf(jobs: readonly (() => Promise<unknown>)[]): Promise<void> {
  const waiting = [...jobs]
  const work = async () => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) await job()
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
}

const controlPlane = await controlPlaneOrSkip(t, BOOTSTRAP_CONTROL_PLANE)

if (controlPlane !== undefined) {
  await grantVnodes(controlPlane)
  const routes = { [VPC_APISERVER]: controlPlane.url }
  await startTestApprover(t, { controlPlane })
  const fake = await fakeEci(t, { routes })
  const program = await bundleBootstrap()
  const world = { program, controlPlane, fake, eci: eciClient(t, fake) }
  const measured = {
    'tls-bootstrap': await measure(world, 'tls-bootstrap'),
    'service-account': await measure(world, 'service-account'),
  }
  const KINDS = ['tls-bootstrap', 'service-account'] as const

  for (const identity of KINDS) {
    t.test(`killed at every step, ${identity}`, async t => {
      const { notices } = measured[identity]
      t.ok(notices > 10, `${notices} steps`)
      const jobs = Array.from({ length: notices }, (_, index) => async () => {
        const name = `step-${index + 1}-${identity}`
        await killAndRunAgain(t, world, { name, identity, killAt: index + 1 })
      })
      await allOf(jobs)
    })
  }

  t.test(`killed at ${RANDOM_MOMENTS} random moments`, async t => {
    const random = new Random(20_261_125)
    const reached: number[] = []
    const jobs = Array.from({ length: RANDOM_MOMENTS }, (_, index) => {
      const identity = KINDS[index % KINDS.length] ?? 'tls-bootstrap'
      // Runs take longer beside each other; those that are over when they are to be killed prove less, not nothing.
      const killAfter = random.fraction() * measured[identity].ms * 1.5
      return async () => {
        reached.push(await killAndRunAgain(t, world, { name: `moment-${index}`, identity, killAfter }))
      }
    })
    await allOf(jobs)
    t.comment(`notices said before the end: ${reached.sort((a, b) => a - b).join(' ')}`)
    t.ok(new Set(reached).size > 3, 'at different moments')
  })
}
