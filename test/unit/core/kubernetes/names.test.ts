import t from 'tap'
import {
  annotationKeyProblem,
  annotationsSize,
  deletionCostProblem,
  dns1123LabelProblem,
  dns1123SubdomainProblem,
  labelKeyProblem,
  labelValueProblem,
  MAX_ANNOTATIONS_BYTES,
} from '../../../../src/core/kubernetes/names.ts'

const long = (length: number) => 'a'.repeat(length)
const checks = {
  labelKeyProblem,
  annotationKeyProblem,
  labelValueProblem,
  dns1123LabelProblem,
  dns1123SubdomainProblem,
  deletionCostProblem,
}

const accepted: Record<keyof typeof checks, string[]> = {
  labelKeyProblem: [
    'app',
    'A',
    '0',
    'a_b.c-d',
    'constructor',
    'app.kubernetes.io/name',
    'a/B',
    long(63),
    `${long(253)}/a`,
    `a.b/${long(63)}`,
  ],
  annotationKeyProblem: [
    'app',
    'Example.COM/Name',
    'k8s.aliyun.com/eci-data-cache-burstingEnabled',
    '\u212aey',
  ],
  labelValueProblem: ['', 'a', 'A_b.c-9', long(63)],
  dns1123SubdomainProblem: ['a', '0', 'a-b.c-d', 'kube-system', long(253)],
  dns1123LabelProblem: ['a', '0', 'kube-system', long(63)],
  deletionCostProblem: ['0', '-0', '1', '-100', '-08', '2147483647', '-2147483648'],
}

const refused: Record<keyof typeof checks, [string, RegExp][]> = {
  labelKeyProblem: [
    ['', /not empty/],
    ['/', /does not start with/],
    ['/a', /does not start with/],
    ['a/', /not empty/],
    ['a/b/c', /at most one/],
    ['-a', /starts and ends/],
    ['a-', /starts and ends/],
    ['a b', /only letters/],
    ['a\n', /only letters/],
    ['é', /only letters/],
    [long(64), /63/],
    ['A.b/c', /lower-case/],
    ['a_b/c', /lower-case/],
    ['a..b/c', /lower-case/],
    ['-a/c', /lower-case/],
    ['a-/c', /lower-case/],
    [`${long(254)}/a`, /253/],
  ],
  annotationKeyProblem: [
    ['', /not empty/],
    ['Example.COM/a/b', /at most one/],
    ['a_b/c', /lower-case/],
    ['a/b c', /only letters/],
  ],
  labelValueProblem: [
    [long(64), /63/],
    ['a b', /only letters/],
    ['-a', /starts and ends/],
    ['a/b', /only letters/],
    ['a\n', /only letters/],
  ],
  dns1123LabelProblem: [
    ['', /not empty/],
    ['a.b', /lower-case/],
    ['Aa', /lower-case/],
    ['-a', /starts and ends/],
    [long(64), /63/],
  ],
  dns1123SubdomainProblem: [
    ['', /not empty/],
    ['A', /lower-case/],
    ['a_b', /lower-case/],
    ['a.', /each part/],
    [long(254), /253/],
  ],
  deletionCostProblem: [
    '',
    '+1',
    '08',
    '1.5',
    '1e3',
    ' 1',
    '-',
    '--1',
    'x',
    '2147483648',
    '-2147483649',
    '9'.repeat(400),
  ].map(value => [value, /whole number from -2147483648 to 2147483647/]),
}

for (const [name, check] of Object.entries(checks) as [
  keyof typeof checks,
  (text: string) => string | undefined,
][]) {
  for (const text of accepted[name]) {
    t.test(`${name} accepts ${JSON.stringify(text).slice(0, 40)}`, async t => {
      t.equal(check(text), undefined)
    })
  }
  for (const [text, reason] of refused[name]) {
    t.test(`${name} refuses ${JSON.stringify(text).slice(0, 40)}`, async t => {
      const problem = check(text) ?? ''
      t.match(problem, reason)
      t.match(problem, /^[A-Z].*\.$/, 'is a sentence')
    })
  }
}

t.test('a key that takes forever to match by brute force is refused at once', async t => {
  t.type(labelKeyProblem(`${'a.'.repeat(100_000)}/${'-'.repeat(100_000)}`), 'string')
  t.type(labelKeyProblem(`${'a-'.repeat(126)}/a`), 'string')
})

t.test('annotations are measured in UTF-8 bytes of keys and values', async t => {
  t.equal(MAX_ANNOTATIONS_BYTES, 262_144)
  t.equal(annotationsSize([]), 0)
  t.equal(annotationsSize(new Map([['ab', 'cde']])), 5)
  t.equal(annotationsSize(Object.entries({ ä: '€', '😀': '' })), 2 + 3 + 4)
})
