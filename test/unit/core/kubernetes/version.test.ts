import t from 'tap'
import { isAtLeast, parseVersion } from '../../../../src/core/kubernetes/version.ts'

t.test('versions are read as API servers and providers write them', async t => {
  t.strictSame(parseVersion({ major: '1', minor: '34' }), { major: 1, minor: 34 })
  t.strictSame(parseVersion({ major: '1', minor: '28+' }), { major: 1, minor: 28 })
  for (const answer of [undefined, {}, { major: '1' }, { major: 1, minor: 28 }, { major: '', minor: '' }])
    t.equal(parseVersion(answer), undefined)
})

t.test('they are compared by number', async t => {
  t.ok(isAtLeast({ major: 1, minor: 28 }, 1, 28))
  t.ok(isAtLeast({ major: 1, minor: 100 }, 1, 28))
  t.ok(isAtLeast({ major: 2, minor: 0 }, 1, 28))
  t.notOk(isAtLeast({ major: 1, minor: 9 }, 1, 28))
})
