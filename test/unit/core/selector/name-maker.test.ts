import t from 'tap'
import { dns1123SubdomainProblem } from '../../../../src/core/kubernetes/names.ts'
import { NameMaker } from '../../../../src/core/selector/name-maker.ts'

t.test('names that the apiserver takes, each once', async t => {
  const names = new NameMaker(['ci'])
  const made = ['CI', 'ci', '--CI jobs (spot)--', '数据库', '', `${'long name '.repeat(30)}`, 'a/b.c'].map(
    text => names.make(text),
  )
  t.same(made.slice(0, 5), ['ci-2', 'ci-3', 'ci-jobs-spot', 'rule', 'rule-2'])
  t.equal(made.at(-1), 'a-b-c')
  for (const name of made) {
    t.equal(dns1123SubdomainProblem(name), undefined, name)
    t.ok(name.length <= 63)
  }
})
