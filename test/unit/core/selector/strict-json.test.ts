import t from 'tap'
import { readStrictJson } from '../../../../src/core/selector/strict-json.ts'
import { parseText } from '../../../../src/core/selector/text.ts'

/** Read the long way: behind the mark of a document JSON is YAML, where a tab is no white space. */
const readPatiently = (text: string) => parseText(`---\n${text.trimEnd()}`).documents[0]?.value

const READ: Record<string, string> = {
  'an empty list': '[]',
  'an empty object': ' \n{}\t',
  'colons and brackets in strings': '[{"a:[": "b:}", "c\\\\": "\\":{", "\\"": "\\\\"}]',
  'what is no letter': '{"ä": "\\u20ac\\ud83d\\ude00", "": "\\/\\b\\t"}',
  numbers: '[0, -1, 1.50, 2e3, 12345678901234567890, 1E-7]',
  'other values': '[true, false, null, {"a": null}]',
  'keys of Object.prototype': '{"__proto__": {"a": 1}, "constructor": 1, "toString": "x"}',
  'keys that are numbers': '{"b": 1, "2": 2, "1": 3}',
  'as deep as it may be': `${'['.repeat(100)}${']'.repeat(100)}`,
}

t.test('is read as by the parser that knows places:', async t => {
  for (const [what, text] of Object.entries(READ)) {
    const read = readStrictJson(text)
    t.strictSame(read, { value: JSON.parse(text) }, what)
    t.strictSame(JSON.stringify(readPatiently(text)), JSON.stringify(read?.value), `${what}: alike`)
  }
})

const LEFT: Record<string, string> = {
  nothing: '',
  'a comment': '[] # all',
  'a comma too many': '[1,]',
  'single quotes': "['a']",
  'a key without quotes': '{a: 1}',
  'a byte order mark': '\uFEFF[]',
  'a line break in a string': '["a\nb"]',
  'a bare string': '"a"',
  YAML: '- a',
  'two documents': '[]\n---\n[]',
  'a key twice': '{"a": 1, "a": 2}',
  'a key twice, once in escapes': '{"a": 1, "\\u0061": 2}',
  'a key twice, far inside': '[[{"b": [{"a": {"x": 1}, "c": 2, "a": {}}]}]]',
  '__proto__ twice': '{"__proto__": 1, "__proto__": 2}',
  'too deep': `${'['.repeat(101)}${']'.repeat(101)}`,
  'far too deep': `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`,
}

t.test('is left to the parser that knows places:', async t => {
  for (const [what, text] of Object.entries(LEFT)) t.equal(readStrictJson(text), undefined, what)
})

t.test('places are found when they are asked for', async t => {
  const text = '[\n  {"name": "a", "n": 1.50}\n]'
  const [document] = parseText(text).documents
  t.strictSame(document?.locate([0, 'n'], 'value'), { line: 2, column: 22 })
  t.strictSame(document?.locate([0, 'n'], 'key'), { line: 2, column: 17 })
  t.equal(document?.typed([0, 'n']), '1.50')
  t.equal(document?.block([0, 'name']), undefined)
})
