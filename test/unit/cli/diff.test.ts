import t from 'tap'
import { renderDiff } from '../../../src/cli/explain/diff.ts'
import { PLAIN } from '../../../src/cli/paint.ts'

const lines = (count: number, from = 1) => Array.from({ length: count }, (_, index) => `l${from + index}`)
const text = (...parts: readonly (string | readonly string[])[]) => `${parts.flat().join('\n')}\n`

const CASES: Readonly<Record<string, readonly [before: string, after: string, diff: string]>> = {
  'nothing changed': ['a\nb\n', 'a\nb\n', ''],
  'a line added in the middle': [text('a', 'b'), text('a', 'x', 'b'), '  a\n+ x\n  b\n'],
  'a line changed': [text('a', 'b', 'c'), text('a', 'x', 'c'), '  a\n- b\n+ x\n  c\n'],
  'a line removed at the end': [text('a', 'b'), text('a'), '  a\n- b\n'],
  'everything new': ['', text('a'), '- \n+ a\n'],
  'lines far from a change are left out': [text(lines(9)), text(lines(9), 'x'), '  l7\n  l8\n  l9\n+ x\n'],
  'a gap between two changes is marked': [
    text(lines(10)),
    text('x', lines(10), 'y'),
    '+ x\n  l1\n  l2\n  l3\n  ⋮\n  l8\n  l9\n  l10\n+ y\n',
  ],
  'lines that come again': [
    text('a', 'b', 'a', 'b'),
    text('a', 'b', 'x', 'a', 'b'),
    '  a\n  b\n+ x\n  a\n  b\n',
  ],
  'blank lines carry no white space': [text('a', '', 'b'), text('a', '', 'c'), '  a\n\n- b\n+ c\n'],
}

for (const [name, [before, after, diff]] of Object.entries(CASES)) {
  t.test(name, async t => t.equal(renderDiff(before, after, PLAIN), diff))
}
