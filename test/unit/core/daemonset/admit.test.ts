import t from 'tap'
import { admitDaemonSet, type DaemonSetEdit } from '../../../../src/core/daemonset/admit.ts'
import { applyOperations } from '../../../../src/core/daemonset/check-fence.ts'
import { type DaemonSetFacts, daemonSetFacts } from '../../../../src/core/daemonset/daemon-set.ts'
import { recordOf } from '../../../../src/core/daemonset/fence-record.ts'
import { planFence } from '../../../../src/core/daemonset/plan.ts'
import { standingOf } from '../../../../src/core/daemonset/standing.ts'
import { unfenceDaemonSet } from '../../../../src/core/daemonset/unfence.ts'
import { asRecord } from '../../../../src/core/kubernetes/objects.ts'
import { makeEnvironment, makeVnode } from '../../../helpers/environments.ts'
import {
  type DaemonSpec,
  naiveNodes,
  REAL_NODES,
  randomDaemonSpec,
  VNODE,
} from '../../../helpers/naive-daemons.ts'
import { makeDaemonSet, type WorkloadOverrides } from '../../../helpers/pods.ts'
import { Random } from '../../../helpers/random.ts'

const ENVIRONMENT = makeEnvironment()
const EVERYTHING = { tolerations: [{ operator: 'Exists' }] }
const daemon = (image = '1', overrides: WorkloadOverrides = {}) =>
  makeDaemonSet({ pod: { spec: { ...EVERYTHING, containers: [{ name: 'app', image }] } }, ...overrides })
const OFF = { labels: { 'vnode-profile.io/fence': 'off' } }

const admit = (edit: Partial<DaemonSetEdit>) =>
  admitDaemonSet(
    { operation: 'CREATE', namespace: 'kube-system', object: daemon(), oldObject: null, ...edit },
    ENVIRONMENT,
  )
const update = (oldObject: object, object: object) => admit({ operation: 'UPDATE', object, oldObject })

t.test('creation', async t => {
  t.equal(admit({}).outcome, 'patched')
  t.match(admit({ object: daemon('1', OFF) }), {
    outcome: 'skipped',
    reason: 'it has the label vnode-profile.io/fence=off',
  })
  t.equal(
    admit({ object: daemon('1', { labels: { 'vnode-profile.io/fence': 'on' } }) }).outcome,
    'patched',
    'another value of the label says nothing',
  )
  t.match(admit({ namespace: 'vnode-system' }), { outcome: 'skipped', reason: /the installation's own/ })
  t.match(admit({ object: makeDaemonSet() }), {
    outcome: 'unmatched',
    reason: "it does not tolerate the VNodes' taint",
    patch: [],
  })
  const pod = (spec: object) => makeDaemonSet({ pod: { spec: { ...EVERYTHING, ...spec } } })
  t.match(admit({ object: pod({ nodeSelector: { type: 'worker' } }) }), {
    outcome: 'real-nodes',
    reason: /type=worker/,
  })
  t.match(admit({ object: pod({ nodeSelector: { type: 'virtual-kubelet' } }) }), { outcome: 'conflict' })
})

t.test('update', async t => {
  const fenced = admit({}).result.object
  t.match(update(daemon(), { ...daemon(), metadata: { name: 'app', labels: { a: 'b' } } }), {
    outcome: 'skipped',
    reason: /its template does not change/,
  })
  t.equal(update(daemon('1'), daemon('2')).outcome, 'patched', 'the template changes anyway')
  t.strictSame(
    update(fenced, daemon()).result.object.spec,
    fenced.spec,
    'a manifest without the fence changes nothing',
  )
  t.equal(update(fenced, daemon('1', OFF)).outcome, 'skipped', 'the fence goes along with the opt-out')
  t.equal(update(daemon('1', OFF), daemon('2', OFF)).outcome, 'skipped', 'opted out before')
  t.equal(
    update(daemon('1', OFF), daemon('1')).outcome,
    'skipped',
    'the opt-out goes: that alone restarts nothing',
  )
  t.throws(() => admit({ operation: 'UPDATE' }), { code: 'BAD_REVIEW' })
})

t.test("a command's fence stays one when admission puts it up again", async t => {
  const by = (oldObject: object) => recordOf(update(oldObject, daemon('2')).result)?.by
  const asked = planFence(daemonSetFacts(daemon()), { environment: ENVIRONMENT })
  if (asked.kind !== 'change') throw new Error(asked.reason)
  t.equal(by(asked.result.object), 'command')
  t.equal(by(admit({}).result.object), 'admission')
  const { metadata } = asked.result.object
  t.equal(by({ ...daemon(), metadata }), 'admission', 'the record is outdated: there was no fence')
})

t.test('the record survives an edit that moves the terms about', async t => {
  const terms = (...keys: string[]) =>
    keys.map(key => ({ matchExpressions: [{ key, operator: 'Exists' }] as object[] }))
  const make = (nodeSelectorTerms: object[]) =>
    makeDaemonSet({
      pod: {
        spec: {
          ...EVERYTHING,
          affinity: {
            nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } },
          },
        },
      },
    })
  const environment = makeEnvironment({ vnodes: [makeVnode(VNODE.name, { a: '', b: '', c: '' })] })
  const stored = admitDaemonSet(
    { operation: 'CREATE', namespace: 'a', object: make(terms('a', 'b')), oldObject: null },
    environment,
  ).result
  const edited = make([...terms('c'), ...(stored.pod.requiredTerms ?? [])])
  const { result } = admitDaemonSet(
    { operation: 'UPDATE', namespace: 'a', object: edited, oldObject: stored.object },
    environment,
  )
  t.strictSame(unfenced(result), make(terms('c', 'a', 'b')).spec)
})

t.test('the record follows an edit that keeps the fence', async t => {
  const FENCE = { key: 'type', operator: 'NotIn', values: ['virtual-kubelet'] }
  const term = (key: string, isFenced: boolean) => ({
    matchExpressions: [{ key, operator: 'DoesNotExist' }, ...(isFenced ? [FENCE] : [])],
  })
  const [a, b, ours, second] = [term('a', false), term('b', false), term('a', true), term('b', true)]
  const authors = term('c', true)
  const make = (nodeSelectorTerms: object[], record?: object) => {
    const annotations = record && { 'vnode-profile.io/fence': JSON.stringify(record) }
    const required = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } }
    const pod = { spec: { ...EVERYTHING, affinity: { nodeAffinity: required } } }
    return makeDaemonSet({ ...(annotations && { annotations }), pod })
  }
  const by = 'command'
  const cases: Record<string, { stored: object[]; terms: number[]; edited: object[]; left: object[] }> = {
    'an undo to fewer terms': { stored: [ours, second], terms: [0, 1], edited: [ours], left: [a] },
    'and to others of them': { stored: [ours, second], terms: [0, 1], edited: [second], left: [b] },
    "one of the author's before ours": {
      stored: [ours],
      terms: [0],
      edited: [authors, ours],
      left: [authors, a],
    },
    'both change places': {
      stored: [ours, authors],
      terms: [0],
      edited: [authors, ours],
      left: [authors, a],
    },
    'ours is edited in its place': {
      stored: [ours, authors],
      terms: [0],
      edited: [second, authors],
      left: [b, authors],
    },
  }
  for (const [name, { stored, terms, edited, left }] of Object.entries(cases)) {
    const record = { by, terms }
    const before = make(stored, record)
    const object = make(edited, record)
    const { outcome, patch, result } = update(before, object)
    const isMoved = name !== 'ours is edited in its place'
    t.equal(outcome, isMoved ? 'patched' : 'unchanged', name)
    t.strictSame(specOf(result.object), specOf(object), 'the template stays')
    t.strictSame(unfenced(result), make(left).spec, name)
    t.equal(update(before, result.object).patch.length, 0, 'a second pass adds nothing')
    if (isMoved) t.match(patch, [{ op: 'add', path: '/metadata/annotations/vnode-profile.io~1fence' }])
  }
  const record = { by, terms: [0] }
  const gone = update(make([ours], record), make([authors, second], record)).result
  t.strictSame(unfenceDaemonSet(gone), { code: 'not-ours' }, 'nothing of ours is left')
  t.equal(standingOf(gone, ENVIRONMENT).fencedBy, 'author')
  const commanded = update(make([ours, b], record), make([ours, second], { by, terms: [0, 1] }))
  t.strictSame([commanded.outcome, commanded.patch], ['unchanged', []], 'a record of the edit itself stays')
  t.equal(update(make([ours], record), make([second])).outcome, 'unchanged', 'nor is one made again')
})

t.test('five thousand DaemonSets of any kind', async t => {
  const random = new Random(5)
  const seen = new Map<string, number>()
  for (let round = 0; round < 5000; round++) {
    const spec = randomDaemonSpec(random)
    const { outcome, problem } = judge(spec)
    seen.set(outcome, (seen.get(outcome) ?? 0) + 1)
    if (problem !== undefined) t.fail(`${outcome}: ${problem}: ${JSON.stringify(spec)}`)
  }
  for (const outcome of ['patched', 'unmatched', 'real-nodes', 'unchanged', 'conflict'])
    t.ok((seen.get(outcome) ?? 0) >= 20, `${outcome}: ${seen.get(outcome)}`)
})

const NODES = [VNODE, ...REAL_NODES]
const KNOWN = makeEnvironment({ vnodes: [{ ...makeVnode(VNODE.name), labels: mapOf(VNODE.labels) }] })

/** What was done, and what of it is wrong. */
function judge(spec: DaemonSpec): { outcome: string; problem?: string } {
  const object = makeDaemonSet({ pod: { spec: spec as Record<string, unknown> } })
  const edit = { operation: 'CREATE', namespace: 'a', object, oldObject: null } as const
  const { outcome, result } = admitDaemonSet(edit, KNOWN)
  const before = naiveNodes(spec, NODES)
  const real = before.filter(name => name !== VNODE.name)
  const lands = outcome === 'patched' || outcome === 'conflict'
  if (before.includes(VNODE.name) !== lands) return { outcome, problem: `it gets Pods on ${before}` }
  if (outcome === 'conflict')
    return real.length > 0 ? { outcome, problem: 'it asks for real nodes' } : { outcome }
  const after = naiveNodes(specOf(result.object), NODES)
  if (after.join() !== real.join()) return { outcome, problem: `${before} became ${after}` }
  if (admitDaemonSet({ ...edit, object: result.object }, KNOWN).patch.length > 0)
    return { outcome, problem: 'a second pass adds something' }
  if (outcome === 'patched' && stored(unfenced(result)) !== stored(object.spec))
    return { outcome, problem: 'it is not restored' }
  return { outcome }
}

function unfenced(daemonSet: DaemonSetFacts): unknown {
  const undone = unfenceDaemonSet(daemonSet)
  if (undone.code !== 'unfenced') throw new Error(undone.code)
  return applyOperations(daemonSet.object, undone.patch).spec
}

function mapOf(labels: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  return new Map(Object.entries(labels))
}

function specOf(object: unknown): DaemonSpec {
  return (asRecord(daemonSetFacts(object).pod.object.spec) ?? {}) as DaemonSpec
}

/** The API server keeps no empty lists. */
function stored(value: unknown): string {
  return JSON.stringify(value, (_key, member) =>
    Array.isArray(member) && member.length === 0 ? undefined : member,
  )
}
