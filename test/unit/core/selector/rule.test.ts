import t from 'tap'
import { NO_EFFECT } from '../../../../src/core/selector/effect.ts'
import {
  hasSelector,
  mismatchOf,
  type Rule,
  renderMismatch,
  type Subject,
} from '../../../../src/core/selector/rule.ts'

const app = { key: 'app', operator: 'In', values: new Set(['web']) } as const
const env = { key: 'env', operator: 'Exists', values: new Set<string>() } as const
const gpu = { key: 'gpu', operator: 'DoesNotExist', values: new Set<string>() } as const
const teams = { patterns: ['team-*', '!team-x'], include: ['team-*'], exclude: ['team-x'] }

const subject: Subject = {
  labels: new Map([['app', 'web']]),
  namespace: 'team-a',
  namespaceLabels: new Map([['env', 'ci']]),
}

const cases = new Map<string, [rule: Partial<Rule>, subject: Partial<Subject>, mismatch: string | undefined]>(
  [
    ['a rule that asks for nothing matches', [{}, {}, undefined]],
    ['the Pod has the label', [{ objectSelector: [app] }, {}, undefined]],
    [
      'the Pod has another value',
      [
        { objectSelector: [app] },
        { labels: new Map([['app', 'api']]) },
        'it wants app=web, but the Pod has app=api',
      ],
    ],
    [
      'the Pod has no such label',
      [{ objectSelector: [app] }, { labels: new Map() }, 'it wants app=web, but the Pod has no label app'],
    ],
    ['the namespace has the label', [{ namespaceSelector: [env] }, {}, undefined]],
    [
      'the namespace has no such label',
      [
        { namespaceSelector: [env] },
        { namespaceLabels: new Map() },
        'it wants env exists, but the namespace has no label env',
      ],
    ],
    [
      'the Pod has the label, the namespace not',
      [
        { namespaceSelector: [env], objectSelector: [app] },
        { namespaceLabels: new Map() },
        'it wants env exists, but the namespace has no label env',
      ],
    ],
    ['both have theirs', [{ namespaceSelector: [env], objectSelector: [app, gpu] }, {}, undefined]],
    [
      'the first requirement is met, the second not',
      [
        { objectSelector: [app, gpu] },
        {
          labels: new Map([
            ['app', 'web'],
            ['gpu', '1'],
          ]),
        },
        'it wants gpu does not exist, but the Pod has gpu=1',
      ],
    ],
    ['it acts on the namespace', [{ onlyNamespace: 'team-a' }, {}, undefined]],
    [
      'it acts on another namespace',
      [
        { onlyNamespace: 'team-b', objectSelector: [app] },
        { labels: new Map() },
        'it acts on namespace team-b only',
      ],
    ],
    ['the patterns let the namespace through', [{ namespaces: teams }, {}, undefined]],
    [
      'the patterns leave the namespace out',
      [
        { namespaces: teams, objectSelector: [gpu] },
        { namespace: 'team-x' },
        'namespace team-x is not among team-*, !team-x',
      ],
    ],
  ],
)

for (const [sentence, [rule, change, words]] of cases) {
  t.test(sentence, async t => {
    const seen = { ...subject, ...change }
    const mismatch = mismatchOf({ name: 'r', origin: 'ConfigMap', effect: NO_EFFECT, ...rule }, seen)
    t.equal(mismatch === undefined ? undefined : renderMismatch(mismatch, seen), words)
  })
}

t.test('a rule has a selector if either one is there', async t => {
  const rule: Rule = { name: 'r', origin: 'Selector', effect: NO_EFFECT }
  t.equal(hasSelector(rule), false)
  t.equal(hasSelector({ ...rule, namespaces: teams, onlyNamespace: 'a' }), false)
  t.equal(hasSelector({ ...rule, objectSelector: [app] }), true)
  t.equal(hasSelector({ ...rule, namespaceSelector: [app] }), true)
})
