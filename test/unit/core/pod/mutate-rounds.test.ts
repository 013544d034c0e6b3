import t from 'tap'
import { podFacts } from '../../../../src/core/pod/facts.ts'
import { checkResult, type Mutation, mutatePod } from '../../../../src/core/pod/mutate.ts'
import { makeEnvironment, makeNamespace } from '../../../helpers/environments.ts'
import type { PlainRule } from '../../../helpers/naive-rules.ts'
import { makePod } from '../../../helpers/pods.ts'

const KEY = 'k8s.aliyun.com/vnode'
const web = { matchLabels: { app: 'web' } }
const effect = { annotations: { 'k8s.aliyun.com/eci-auto-imc': 'true', note: 'x' }, labels: { on: 'eci' } }
const toVnode: PlainRule = { name: 'to-vnode', objectSelector: web, effect }
const marks = (rules: string) => ({
  'vnode-profile.io/rules': rules,
  'vnode-profile.io/policy': 'virtualNodeOnly',
})

function mutate(rules: readonly PlainRule[]): Mutation {
  const pod = makePod({ labels: { app: 'web' } })
  return mutatePod(pod, makeNamespace('team-a'), makeEnvironment({ rules }))
}

/** Rules `a` to `h` and so on, each of which matches the label that the one before adds. */
function chain(length: number): PlainRule[] {
  return Array.from({ length }, (_, index) => ({
    name: `r${index}`,
    objectSelector: index === 0 ? web : { matchLabels: { [`step${index}`]: 'on' } },
    effect: { labels: { [`step${index + 1}`]: 'on' } },
  })).reverse()
}

t.test(
  'a label that one rule adds can make another match, and the answer is the same called once or twice',
  async t => {
    const rules: PlainRule[] = [
      {
        name: 'first',
        objectSelector: { matchLabels: { on: 'eci' } },
        effect: { annotations: { from: 'first' } },
      },
      toVnode,
    ]
    const { patch, result } = mutate(rules)
    t.match(result, {
      metadata: { annotations: { from: 'first', note: 'x', ...marks('first,to-vnode') } },
    })
    t.ok(
      patch.some(
        ({ path, value }) =>
          path === '/metadata/annotations/vnode-profile.io~1rules' && value === 'first,to-vnode',
      ),
    )
  },
)

t.test('chains of rules are followed to their end', async t => {
  for (const length of [2, 3, 8]) {
    const { result } = mutate(chain(length))
    const labels = Object.keys(
      podFacts(result).labels.size === 0 ? {} : Object.fromEntries(podFacts(result).labels),
    )
    t.equal(labels.length, length + 1)
  }
})

t.test('a chain without a foreseeable end is an error, never half an answer', async t => {
  t.throws(() => mutate(chain(9)), {
    code: 'INTERNAL',
    message: 'the Pod still changed after 8 rounds',
  })
})

t.test('a rule that its own label defeats is applied once, and stays as it is', async t => {
  const rules: PlainRule[] = [
    {
      name: 'once',
      objectSelector: { matchExpressions: [{ key: 'on', operator: 'DoesNotExist' }] },
      effect: { labels: { on: 'eci' } },
    },
  ]
  const { result, decision } = mutate(rules)
  t.match(result, {
    metadata: { labels: { on: 'eci' }, annotations: marks('once') },
    spec: { nodeSelector: { [KEY]: 'true' } },
  })
  t.match(decision, { outcome: 'placed' })
  const again = mutatePod(result, makeNamespace('team-a'), makeEnvironment({ rules }))
  t.strictSame(again.patch, [])
})

t.test('a label that makes a rule match that keeps Pods on real nodes takes nothing back', async t => {
  const keep: PlainRule = {
    name: 'keep',
    objectSelector: { matchLabels: { on: 'eci' } },
    policy: { normalNodeOnly: {} },
  }
  const { result } = mutate([keep, toVnode])
  t.match(result, { spec: { nodeSelector: { [KEY]: 'true' } } })
})

const shapes = new Map<string, unknown>([
  ['metadata is missing', { spec: { nodeName: 'cn-x.vnd-1' } }],
  ['metadata is null', { metadata: null, spec: { nodeName: 'cn-x.vnd-1' } }],
])

t.test('throws where the Pod has a shape that no apiserver sends', async t => {
  const environment = makeEnvironment({ rules: [{ name: 'all', effect }] })
  for (const [sentence, pod] of shapes)
    t.throws(() => mutatePod(pod, makeNamespace(), environment), { code: 'BAD_REVIEW' }, sentence)
})

t.test('leaves alone what is no Pod at all', async t => {
  for (const value of [undefined, null, 'pod', 5, [], {}, { metadata: [], spec: 'x' }])
    t.strictSame(mutatePod(value, makeNamespace(), makeEnvironment({ rules: [toVnode] })).patch, [])
})

t.test('parents that are missing or null are created', async t => {
  const rules: PlainRule[] = [
    { name: 'ns', namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'team-a' } }, effect },
  ]
  for (const empty of [undefined, null]) {
    const pod = {
      metadata: { labels: empty, annotations: empty },
      spec: { nodeSelector: empty, tolerations: empty, affinity: empty },
    }
    const { result } = mutatePod(
      JSON.parse(JSON.stringify(pod)),
      makeNamespace('team-a'),
      makeEnvironment({ rules }),
    )
    t.match(result, {
      metadata: { labels: effect.labels, annotations: effect.annotations },
      spec: { nodeSelector: { [KEY]: 'true' }, tolerations: [{ key: KEY }] },
    })
  }
})

t.test('the last look refuses annotations that we made too large, not those that came so', async t => {
  const sized = (bytes: number) => podFacts({ metadata: { annotations: { k: 'x'.repeat(bytes - 1) } } })
  const limit = 256 * 1024
  t.doesNotThrow(() => checkResult(sized(1), sized(limit)))
  t.throws(() => checkResult(sized(limit), sized(limit + 1)), {
    code: 'INTERNAL',
    message: `the Pod's annotations would be ${limit + 1} bytes`,
  })
  t.doesNotThrow(() => checkResult(sized(limit + 1), sized(limit + 1)))
})
