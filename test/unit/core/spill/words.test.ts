import t from 'tap'
import { missedWords } from '../../../../src/core/spill/words.ts'

t.test('of a missed Pod what is lost is said, where something is', async t => {
  const what = 'rule web is about Pod app, which was created without the webhook, or before the rule'
  t.equal(missedWords({ rule: 'web' }, 'app'), what)
  t.equal(missedWords({ rule: 'web', lost: 'its node' }, 'app'), `${what}: its node`)
})
