import t from 'tap'
import { plainLines, plainText, shortText } from '../../../src/cli/plain-text.ts'

const CASES: Readonly<Record<string, readonly [string, string]>> = {
  'ordinary text': ['k8s.aliyun.com/x=数据 é', 'k8s.aliyun.com/x=数据 é'],
  lines: ['a\nb\r\n', 'a\\nb\\u000d\\n'],
  'what a terminal obeys': ['\u001b[2Jgone\u0007', '\\u001b[2Jgone\\u0007'],
  'line breaks that only Unicode knows': ['a\u2028b\u2029c\u0085', 'a\\u2028b\\u2029c\\u0085'],
  'text that would be shown backwards': ['\u202eabc', '\\u202eabc'],
  'long text': ['x'.repeat(300), 'x'.repeat(300)],
}

for (const [name, [text, wanted]] of Object.entries(CASES)) {
  t.test(name, async t => t.equal(plainText(text), wanted))
}

t.test('values are cut where nobody reads on', async t => {
  t.equal(shortText('x'.repeat(200)), 'x'.repeat(200))
  t.equal(shortText(`${'x'.repeat(199)}\n`), `${'x'.repeat(199)}\\…`)
})

t.test('text that has lines of its own keeps them', async t => {
  t.equal(plainLines('a\tb\n\u001bc\r\n'), 'a\tb\n\\u001bc\\u000d\n')
})
