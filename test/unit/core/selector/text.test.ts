import t from 'tap'
import type { Path } from '../../../../src/core/selector/problem.ts'
import { parseText } from '../../../../src/core/selector/text.ts'
import { readMarks } from '../../../helpers/marked-text.ts'

const BOM = '\uFEFF'

/** What the one document of a text says. */
const values = new Map<string, [text: string, value: unknown]>([
  ['JSON', ['[{"a": [1, true, null, "x"]}]', [{ a: [1, true, null, 'x'] }]]],
  ['JSON in one line after a byte order mark', [`${BOM}{"a": 1}`, { a: 1 }]],
  ['YAML after a byte order mark', [`${BOM}a: 1`, { a: 1 }]],
  ['JSON with a byte order mark in the middle', [`[1,${BOM} 2]`, [1, 2]]],
  ['JSON with # comments', ['# one\n[1, # two\n2 # three\n] # four', [1, 2]]],
  ['JSON with // comments', ['// one\n[1, // two\n2 // three\n] // four', [1, 2]]],
  ['JSON with block comments', ['/* one\n two */ [1, /* three */ 2/* four */] /**/', [1, 2]]],
  ['comments that touch brackets, commas and strings', ['[//a\n"x"//b\n,#c\n"y"#d\n]', ['x', 'y']]],
  ['quotes and apostrophes in comments', ['[1, // don\'t "\n2 /* it\'s " */, 3 # "]\n]', [1, 2, 3]]],
  [
    'comment signs within strings',
    ['["# a", "// b", "/* c */", "http://x#y"]', ['# a', '// b', '/* c */', 'http://x#y']],
  ],
  ['comment signs after an escaped quote', ['["a \\" // b", "\\\\", "#"]', ['a " // b', '\\', '#']]],
  [
    'comment signs within single quotes',
    ["['# a', '// b', 'it''s // c', {'d': '/*e*/'}]", ['# a', '// b', "it's // c", { d: '/*e*/' }]],
  ],
  ['an apostrophe within a bare word', ["[don't, // one\n won't]", ["don't", "won't"]]],
  ['a URL as a bare word', ['{url: http://x/y, "z": https://x#y}', { url: 'http://x/y', z: 'https://x#y' }]],
  ['a URL as a bare word in block style', ['url: http://x/y # comment\n', { url: 'http://x/y' }]],
  ['trailing commas', ['[1, {"a": 2,},]', [1, { a: 2 }]]],
  ['tabs for white space in JSON', ['{\n\t"a":\t[\t1\t]\n}', { a: [1] }]],
  ['a tab within a string', ['["a\tb"]', ['a\tb']]],
  ['YAML block style', ['- a: x\n  b:\n    - y\n- c\n', [{ a: 'x', b: ['y'] }, 'c']]],
  ['CRLF line ends in JSON with comments', ['[\r\n1, # x\r\n2 // y\r\n]\r\n', [1, 2]]],
  ['CRLF line ends in YAML', ['a: |\r\n  x\r\n  y\r\nb: 1\r\n', { a: 'x\ny\n', b: 1 }]],
  [
    'anchors and aliases',
    ['a: &x {k: v}\nb: *x\nc: [*x]\n', { a: { k: 'v' }, b: { k: 'v' }, c: [{ k: 'v' }] }],
  ],
  ['an anchor given anew', ['[&x 1, *x, &x 2, *x]', [1, 1, 2, 2]]],
  [
    'keys that objects have by nature',
    [
      '{"__proto__": {"a": 1}, "constructor": 2, "toString": 3}',
      JSON.parse('{"__proto__": {"a": 1}, "constructor": 2, "toString": 3}'),
    ],
  ],
  [
    'keys that are no strings',
    ['{1: a, 0x10: b, null: c, true: d}', { 1: 'a', 16: 'b', '': 'c', true: 'd' }],
  ],
  ['numbers', ['[1.10, 0x10, 1e3, 0o17, -0, .5]', [1.1, 16, 1000, 15, -0, 0.5]]],
  [
    'words that only older YAML reads as booleans',
    ['[yes, no, on, off, true, True, false]', ['yes', 'no', 'on', 'off', true, true, false]],
  ],
  ['nulls', ['[null, ~, Null, "null", ]', [null, null, null, 'null']]],
  ['dates stay text', ['[2024-01-01]', ['2024-01-01']]],
  ['emoji, written and escaped', ['["😀", "\\ud83d\\ude00", 😀]', ['😀', '😀', '😀']]],
  ['a quoted key that looks like a merge', ['{"<<": {"a": 1}}', { '<<': { a: 1 } }]],
  ['null', ['null', null]],
])

t.test('reads', async t => {
  for (const [sentence, [text, value]] of values) {
    const { documents, problems } = parseText(text)
    t.same(problems, [], sentence)
    t.equal(documents.length, 1, sentence)
    t.strictSame(documents[0]?.value, value, sentence)
  }
})

t.test('what is keyed __proto__ is an ordinary member', async t => {
  const value = parseText('{"__proto__": {"isAdmin": true}}').documents[0]?.value
  t.ok(Object.hasOwn(value as object, '__proto__'))
  t.equal(Object.getPrototypeOf(value), Object.prototype)
})

const emptyTexts = new Map([
  ['the empty text', ''],
  ['white space', '  \n\t \r\n'],
  ['a byte order mark', BOM],
  ['a # comment', '# nothing\n'],
  ['a // comment', '// nothing'],
  ['a block comment', '/* nothing\n */\n'],
])

t.test('has no document', async t => {
  for (const [sentence, text] of emptyTexts)
    t.strictSame(parseText(text), { documents: [], problems: [] }, sentence)
})

t.test('reads several documents', async t => {
  const { documents } = parseText('a: 1\n---\n- b\n...\n---\n')
  t.strictSame(
    documents.map(document => document.value),
    [{ a: 1 }, ['b'], null],
  )
  const json = parseText('{"a": 1}\n---\n// x\n["b"]')
  t.strictSame(
    json.documents.map(document => document.value),
    [{ a: 1 }, ['b']],
  )
})

/** ‸ stands where the problem is to be found. */
const unreadable = new Map<string, [marked: string, message: RegExp]>([
  ['a bracket that does not close', ['[{"a": 1}\n‸', /must end with a \]|end with a \]/]],
  ['a brace too many', ['{"a": 1}‸}', /Unexpected|flow-map-end/]],
  ['a duplicate key', ['{"a": 1,\n "b": 2, ‸"a": 3}', /the key "a" is there twice$/]],
  ['a duplicate key in block style', ['a: 1\nb:\n  c: 1\n  ‸c: 2\n', /the key "c" is there twice$/]],
  ['a duplicate key, once as a number', ['{1: a, ‸"1": b}', /the key "1" is there twice$/]],
  ['a duplicate null key', ['{null: a, ‸"": b}', /the key "" is there twice$/]],
  ['an alias without an anchor', ['[1, ‸*x]', /\*x has no anchor before it$/]],
  ['an alias before its anchor', ['[‸*x, &x 1]', /\*x has no anchor before it$/]],
  ['an alias within its own anchor', ['a: &x\n  b: [‸*x]', /\*x contains itself$/]],
  ['a list for a key', ['{‸[a]: b}', /a key is a single word or text, not a list, an object or an alias$/]],
  ['an object for a key', ['? ‸{a: b}\n: c\n', /a key is a single word or text/]],
  ['an alias for a key', ['{a: &x b, ‸*x : c}', /a key is a single word or text/]],
  [
    'a merge key',
    ['a: &x {k: v}\nb:\n  ‸<<: *x\n', /merge keys \(<<\) are not read: write the members out$/],
  ],
  ['a tab for indentation in YAML', ['a:\n‸\t- b', /Tabs are not allowed as indentation$/]],
  ['a comment that does not end', ['[1, /* x ]\n‸', /end with a \]/]],
  ['a string that does not end', ['["x]\n‸', /Missing closing "quote/]],
])

t.test('refuses', async t => {
  for (const [sentence, [marked, message]] of unreadable) {
    const { text, places } = readMarks(marked)
    const { documents, problems } = parseText(text)
    t.strictSame(documents, [], sentence)
    t.match(problems[0], { severity: 'error', path: '', message, ...places[0] }, sentence)
    t.match(problems[0]?.message, /^the text is not valid JSON or YAML: [^\n]+$/, sentence)
  }
})

t.test('reports every flaw of every document', async t => {
  const { text, places } = readMarks('{a: 1, ‸a: 2, ‸a: 3}\n---\n[‸*x]')
  const { problems } = parseText(text)
  t.match(problems, places)
  t.equal(problems.length, 3)
})

const bombs = new Map([
  ['20,000 lists in each other', '['.repeat(20_000) + ']'.repeat(20_000)],
  ['20,000 lists that do not close', '['.repeat(20_000)],
  ['20,000 keys within keys', '? '.repeat(20_000)],
  ['20,000 objects in each other', '{"a":'.repeat(20_000) + '}'.repeat(20_000)],
  [
    '3,000 steps of indentation',
    Array.from({ length: 3000 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'),
  ],
])

t.test('nesting without end is refused, in one sentence with its place', async t => {
  for (const [sentence, text] of bombs) {
    const { problems } = parseText(text)
    t.match(problems, [{ message: /: it is nested too deeply$/, line: Number, column: Number }], sentence)
    t.equal(problems.length, 1, sentence)
  }
})

t.test('any depth is either read or refused, never thrown', async t => {
  for (let depth = 900; depth < 2600; depth += 50) {
    const { documents, problems } = parseText('['.repeat(depth) + ']'.repeat(depth))
    t.equal(documents.length + problems.length, 1, `${depth} deep`)
  }
})

t.test('aliases are limited', async t => {
  const levels = 'bcdefghij'.split('').map((name, index) => {
    const before = 'abcdefghi'[index]
    return `${name}: &${name} [${Array(9).fill(`*${before}`).join(',')}]`
  })
  t.match(
    parseText(['a: &a [x]', ...levels].join('\n')).problems,
    [{ message: /Excessive alias count/ }],
    'by what they expand to',
  )
  const many = (count: number) =>
    `[&a 1, ${Array.from({ length: 100 }, (_, i) => `&b${i} ${i}`)}, ${Array.from({ length: count }, (_, i) => `*b${i % 100}`)}]`
  t.strictSame(parseText(many(1000)).problems, [], 'a thousand are read')
  t.match(
    parseText(many(1001)).problems,
    [{ message: /: it has more than 1000 aliases$/, line: 1 }],
    'by their number',
  )
})

t.test('time grows with the text, not with its square', async t => {
  const time = (count: number): number => {
    const text = `[{${Array.from({ length: count }, (_, index) => `"k${index}":${index}`)}}]`
    const started = performance.now()
    const [document] = parseText(text).documents
    for (let index = 0; index < count; index += 1) document?.locate([0, `k${index}`], 'key')
    return performance.now() - started
  }
  time(10_000)
  // Four times the text: a square would make it sixteen.
  t.ok(time(40_000) < 10 * time(10_000))
})

/** The path of the node that ‸ points at; `key` marks are for keys. */
const places = new Map<string, [marked: string, path: Path, at?: 'key' | 'value']>([
  ['the whole', ['‸[1]', []]],
  ['the whole after comments', ['// x\n# y\n ‸[1]', []]],
  ['an item', ['["a", ‸"b"]', [1]]],
  ['a value', ['[{"a": 1, "b": ‸2}]', [0, 'b']]],
  ['a key', ['[{"a": 1, ‸"b": 2}]', [0, 'b'], 'key']],
  ['a value in block style', ['- a: 1\n  b:\n    c: ‸x\n', [0, 'b', 'c']]],
  ['a key in block style', ['- a: 1\n  b:\n    ‸c: x\n', [0, 'b', 'c'], 'key']],
  ['a value after a byte order mark', [`${BOM}{"a": ‸1}`, ['a']]],
  ['a value after tabs', ['{\t"a":\t‸1}', ['a']]],
  ['a value after CRLF', ['{\r\n"a": 1,\r\n"b": ‸2}', ['b']]],
  ['a value after emoji, in UTF-16 units', ['["😀😀", ‸x]', [1]]],
  ['a value that is not there: its object', ['[‸{"a": 1}]', [0, 'b']]],
  ['a value that is not there: the key of its object', ['{‸"a": {"b": 1}}', ['a', 'c']]],
  ['a key that is not there', ['{‸"a": {"b": 1}}', ['a', 'c'], 'key']],
  ['a path that goes on below a scalar', ['{‸"a": 1}', ['a', 'b', 'c']]],
  ['an index that is not there', ['{‸"a": [1]}', ['a', 5]]],
  ['a word in braces, which is a key without a value', ['{‸a, b}', ['a']]],
  ['an empty value', ['a:\nb:‸', ['b']]],
  ['a value by alias, where it is used', ['a: &x 1\nb: ‸*x\n', ['b']]],
  ['below an alias, where it is written', ['a: &x {k: ‸v}\nb: *x\n', ['b', 'k']]],
  ['a key that objects have by nature', ['{"constructor": {"__proto__": ‸1}}', ['constructor', '__proto__']]],
  ['a key that objects have by nature, but this one not', ['‸{"a": 1}', ['constructor']]],
  ['a number for a key', ['{1: ‸x}', ['1']]],
])

t.test('locates', async t => {
  for (const [sentence, [marked, path, at = 'value']] of places) {
    const { text, places: expected } = readMarks(marked)
    t.strictSame(parseText(text).documents[0]?.locate(path, at), expected[0], sentence)
  }
})

t.test('locates nothing in an empty document', async t => {
  const [document] = parseText('---\n...\n').documents
  t.equal(document?.value, null)
  t.strictSame(document?.locate([0], 'value'), { line: 1, column: 4 })
})

t.test('locates in the right one of several documents', async t => {
  const { text, places: expected } = readMarks('a: 1\n---\na: ‸2\n')
  t.strictSame(parseText(text).documents[1]?.locate(['a'], 'value'), expected[0])
})

const typed = new Map<string, [text: string, path: Path, typed: string | undefined]>([
  ['a number with a zero at its end', ['[1.10]', [0], '1.10']],
  ['a hexadecimal number', ['[0x10]', [0], '0x10']],
  ['a number with an exponent', ['[1e3]', [0], '1e3']],
  ['a number that no double holds', ['[12345678901234567890]', [0], '12345678901234567890']],
  ['a boolean', ['{a: True}', ['a'], 'True']],
  ['a number by alias', ['[&x 1.10, *x]', [1], '1.10']],
  ['a list', ['[[1]]', [0], undefined]],
  ['what is not there', ['{a: 1}', ['b'], undefined]],
  ['below a scalar', ['{a: 1}', ['a', 'b'], undefined]],
])

t.test('knows what was typed', async t => {
  for (const [sentence, [text, path, expected]] of typed)
    t.equal(parseText(text).documents[0]?.typed(path), expected, sentence)
})

/** The first character of the string's first line that is not white space is marked; undefined: it stands nowhere line by line. */
const blocks = new Map<string, [text: string, block: { line: number; indent: number } | undefined]>([
  ['a literal block', ['a: |\n  x\n  y\n', { line: 2, indent: 2 }]],
  ['a literal block further in', ['b:\n  - a\na:   |-\n      x\n', { line: 4, indent: 6 }]],
  ['a literal block that begins with empty lines', ['a: |\n\n   \n     x\n', { line: 2, indent: 5 }]],
  ['a literal block with its indentation told', ['a: |2\n     x\n  y\n', { line: 2, indent: 2 }]],
  ['a literal block with a comment after its header', ['a: |+ # why\n  x\n', { line: 2, indent: 2 }]],
  ['a literal block with an anchor', ['a: &x |\n  x\n', { line: 2, indent: 2 }]],
  ['a literal block with CRLF', ['a: |\r\n\r\n   x\r\n', { line: 2, indent: 3 }]],
  ['a literal block by alias', ['b: &x |\n  x\na: *x\n', { line: 2, indent: 2 }]],
  ['an empty literal block', ['a: |\nb: 1\n', undefined]],
  ['an empty literal block at the end', ['a: |\n', undefined]],
  ['a folded block', ['a: >\n  x\n  y\n', undefined]],
  ['a quoted string', ['a: "x\\ny"\n', undefined]],
  ['a bare word', ['a: x\n', undefined]],
  ['what is not there', ['b: |\n  x\n', undefined]],
])

t.test('knows where the lines of a string stand', async t => {
  for (const [sentence, [text, expected]] of blocks)
    t.strictSame(parseText(text).documents[0]?.block(['a']), expected, sentence)
})

/** What a text with merge keys means where they are read. */
const merged = new Map<string, [text: string, value: unknown]>([
  [
    'an object, its own members before',
    ['a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}\n', { a: { k: 1, l: 2 }, b: { k: 3, l: 2 } }],
  ],
  ['its own members after', ['a: &x {k: 1}\nb: {k: 3, <<: *x}\n', { a: { k: 1 }, b: { k: 3 } }]],
  [
    'several, of which the first counts',
    [
      'a: [&x {k: 1}, &y {k: 2, l: 2}]\nb: {<<: [*x, *y]}\n',
      { a: [{ k: 1 }, { k: 2, l: 2 }], b: { k: 1, l: 2 } },
    ],
  ],
  ['written out in place', ['{<<: {k: 1}, l: 2}', { k: 1, l: 2 }]],
  [
    'what merges itself',
    [
      'a: &x {k: 1}\nb: &y {<<: *x, l: 2}\nc: {<<: *y, m: 3}\n',
      { a: { k: 1 }, b: { k: 1, l: 2 }, c: { k: 1, l: 2, m: 3 } },
    ],
  ],
  ['below a list', ['- &x {k: 1}\n- [{<<: *x}]\n', [{ k: 1 }, [{ k: 1 }]]]],
  [
    'a key __proto__',
    [
      'a: &x {__proto__: {k: 1}}\nb: {<<: *x}\n',
      JSON.parse('{"a": {"__proto__": {"k": 1}}, "b": {"__proto__": {"k": 1}}}'),
    ],
  ],
  [
    'a quoted key beside it',
    ['a: &x {k: 1}\nb: {<<: *x, c: {"<<": 2}}\n', { a: { k: 1 }, b: { c: { '<<': 2 }, k: 1 } }],
  ],
])

t.test('reads merge keys where they are allowed', async t => {
  for (const [sentence, [text, value]] of merged) {
    const { documents, problems } = parseText(text, { allowsMerges: true })
    t.same(problems, [], sentence)
    t.strictSame(documents[0]?.value, value, sentence)
  }
})

t.test('refuses a merge of what has no members, with its place', async t => {
  for (const marked of ['{‸<<: 5}', 'a: &x 1\nb: {‸<<: *x}', '{‸<<: [{}, 1]}', '{‸<<: }']) {
    const { text, places } = readMarks(marked)
    const { problems } = parseText(text, { allowsMerges: true })
    t.match(
      problems,
      [{ ...places[0], message: /a merge key \(<<\) takes an object, or a list of objects$/ }],
      marked,
    )
  }
})

t.test('merge keys do not let a short text become a large value', async t => {
  const members = Array.from({ length: 500 }, (_, index) => `k${index}: 1`).join(', ')
  const copies = Array.from({ length: 300 }, () => '{<<: *x}').join(', ')
  const { problems } = parseText(`a: &x {${members}}\nb: [${copies}]\n`, { allowsMerges: true })
  t.match(problems, [{ message: /merge keys \(<<\) bring in more than 100000 members$/ }])
  const doubling = Array.from(
    { length: 40 },
    (_, index) => `a${index + 1}: &a${index + 1} {<<: *a${index}, x: {<<: *a${index}}}`,
  )
  const bomb = parseText(`a0: &a0 {k: 1}\n${doubling.join('\n')}\n`, { allowsMerges: true })
  t.match(bomb.problems, [{ message: /Excessive alias count/ }])
})

t.test('reads JSON objects one after the other', async t => {
  const text = '{"a": "}{"}\n{"b": [{}]}\n\n  {"c": 1}{"d": 2}\n'
  const { documents, problems } = parseText(text)
  t.same(problems, [])
  t.strictSame(
    documents.map(document => document.value),
    [{ a: '}{' }, { b: [{}] }, { c: 1 }, { d: 2 }],
  )
  t.strictSame(
    documents.map((document, index) => document.locate(['abcd'.charAt(index)], 'value')),
    [
      { line: 1, column: 7 },
      { line: 2, column: 7 },
      { line: 4, column: 9 },
      { line: 4, column: 17 },
    ],
  )
})

t.test('such a stream with a fault in it is no stream', async t => {
  for (const text of ['{"a": 1}\n{"a": 1, "a": 2}', '{"a": 1}\n[', '{"a": 1}\n{"a": 1} x', '{"a": 1}\n]'])
    t.ok(parseText(text).problems.length > 0, text)
})
