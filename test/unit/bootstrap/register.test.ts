/** Whatever order the steps of several runs come in, whichever of them die where: what is paid for is one VNode. */
import t, { type Test } from 'tap'
import type { Wish } from '../../../src/core/vnode/registration.ts'
import { Random } from '../../helpers/random.ts'
import { RegistrationModel } from '../../helpers/registration-model.ts'

const WISH: Wish = {
  name: 'edge',
  regionId: 'cn-hangzhou',
  fingerprint: 'f',
  isAdditional: false,
  caller: { account: '1', endpoint: '' },
}
const OTHER: Wish = { ...WISH, fingerprint: 'g' }
const WORLDS = 150
const MOST_STEPS = 20_000

interface Running {
  readonly run: number
  isOver: boolean
}

function begin(model: RegistrationModel, wish: Wish): Running {
  const { run, end } = model.begin(wish)
  const running = { run, isOver: false }
  const over = () => {
    running.isOver = true
  }
  // A call that got no answer ends a run: somebody runs it again.
  end.then(over, over)
  return running
}

/** Runs until one of them has it registered. */
async function settle(t: Test, model: RegistrationModel, wish: Wish): Promise<string> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const { end } = model.begin(wish)
    let result: { id: string } | { error: unknown } | undefined
    end.then(
      ({ virtualNodeId }) => {
        result = { id: virtualNodeId }
      },
      error => {
        result = { error }
      },
    )
    for (let steps = 0; result === undefined && steps < MOST_STEPS; steps += 1) await model.step()
    if (result !== undefined && 'id' in result) return result.id
  }
  t.fail('it comes to no end')
  return ''
}

/** Takes steps until nothing is left to do, after whatever else may happen between two of them. */
async function play(model: RegistrationModel, before: () => void): Promise<void> {
  for (let steps = 0; !model.isIdle && steps < MOST_STEPS; steps += 1) {
    before()
    await model.step()
  }
}

/** What is wrong with the world in the end, if anything. */
function faultOf(model: RegistrationModel, id: string, mostMade: number): string | undefined {
  const living = model.living.map(({ virtualNodeId }) => virtualNodeId)
  if (living.join() !== id) return `${id} is registered, and there are ${living.join() || 'none'}`
  if (model.made.length > mostMade) return `${model.made.length} were made`
  const recorded = model.record?.registered?.virtualNodeId
  return recorded === id ? undefined : `${id} is registered, and ${recorded} is written down`
}

t.test('several runs at once, some of them killed', async t => {
  const seen = { several: 0, killed: 0 }
  for (let seed = 1; seed <= WORLDS; seed += 1) {
    const random = new Random(seed)
    const model = new RegistrationModel({ random, longestLagMs: 60_000, faults: 0.1 })
    const wishes = random.chance(0.3) ? [WISH, OTHER] : [WISH]
    const runs = Array.from({ length: 1 + random.below(4) }, (_, index) =>
      begin(model, wishes[index % wishes.length] ?? WISH),
    )
    seen.several += Number(runs.length > 1)
    await play(model, () => {
      if (!random.chance(0.02)) return
      const { run, isOver } = runs[random.below(runs.length)] ?? { run: 0, isOver: true }
      seen.killed += Number(!isOver)
      model.kill(run)
    })
    const fault = faultOf(model, await settle(t, model, WISH), 1)
    if (fault !== undefined) t.fail(`world ${seed}: ${fault}`)
  }
  t.ok(seen.several > 50 && seen.killed > 50, JSON.stringify(seen))
})

t.test('somebody deletes the VNode while runs come and go', async t => {
  let deletions = 0
  for (let seed = 1; seed <= WORLDS; seed += 1) {
    const random = new Random(seed + 10_000)
    const model = new RegistrationModel({ random, longestLagMs: 30_000, faults: 0.05 })
    const runs = [begin(model, WISH), begin(model, WISH)]
    let isDeleted = false
    await play(model, () => {
      if (random.chance(0.02)) model.kill(runs[random.below(runs.length)]?.run ?? 0)
      const [made] = model.living
      if (made === undefined || isDeleted || !random.chance(0.05)) return
      made.isDeleted = true
      isDeleted = true
    })
    deletions += Number(isDeleted)
    const fault = faultOf(model, await settle(t, model, WISH), isDeleted ? 2 : 1)
    if (fault !== undefined) t.fail(`world ${seed}: ${fault}`)
  }
  t.ok(deletions > 50, `${deletions} deletions`)
})
