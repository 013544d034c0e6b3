import t from 'tap'
import { heldWords, missedWords, spilledWords } from '../../../../src/core/spill/words.ts'
import { compileAll } from '../../../helpers/environments.ts'

t.test('of a Pod that is held back the code and the reason are said', async t => {
  const [rule] = compileAll([{ name: 'web', objectSelector: { matchLabels: { app: 'web' } } }])
  if (rule === undefined) throw new Error('the rule is there')
  const words = heldWords({ rule, code: 'vnode-absent', reason: 'there is no VNode' })
  t.equal(words, 'rule web lets it go to a VNode, but not now (vnode-absent): there is no VNode')
})

t.test('of one that is let go, why', async t => {
  t.equal(spilledWords('web'), 'rule web lets it go to a VNode from now on: no real node can take it')
})

t.test('of a missed Pod what is lost is said, where something is', async t => {
  const what = 'rule web is about Pod app, which was created without the webhook, or before the rule'
  t.equal(missedWords({ rule: 'web' }, 'app'), what)
  t.equal(missedWords({ rule: 'web', lost: 'its node' }, 'app'), `${what}: its node`)
})
