import t from 'tap'
import { mutatePod } from '../../src/core/pod/mutate.ts'
import type { AddOperation } from '../../src/core/pod/patch.ts'
import type { Mutate } from '../../src/webhook/pods-route.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { FAULTY_PATCHES } from '../helpers/faulty-patches.ts'
import {
  type Placement,
  placementOf,
  type StoredPod,
  sentToVnodes,
  UNTOUCHED,
} from '../helpers/placed-pods.ts'
import { makePod, type Pod, type PodOverrides } from '../helpers/pods.ts'
import { registerWebhook } from '../helpers/registration.ts'
import { forwardTo, startReviewServer } from '../helpers/review-server.ts'
import { setRules } from '../helpers/rules.ts'
import { startTestWebhook, type TestWebhook } from '../helpers/webhook.ts'

const LABELS = { wanted: 'yes' }
const KIB = 1024
/** What the apiserver allows a Pod's annotations, keys included. */
const BUDGET = 256 * KIB
const EFFECT = 'example.com/effect'
const OWN = 'example.com/own'

const faults: Record<string, Mutate> = {
  'that throws': () => {
    throw new TypeError('planted')
  },
  'that throws what is no Error': () => {
    throw 'planted'
  },
  'that gives nothing': () => undefined as never,
  'that gives an object of another kind': () => ({ patch: 'planted' }) as never,
}
for (const [what, patch] of Object.entries(FAULTY_PATCHES))
  faults[`that gives a patch with ${what}`] = (...given) => ({
    ...mutatePod(...given),
    patch: patch as readonly AddOperation[],
  })

const sent = sentToVnodes('one')
const placed: Placement = { ...sent, labels: LABELS }

const TOO_LARGE = { 'vnode-profile.io/warnings': 'annotations-too-large' }

interface Case {
  /** Bytes of the effect's one annotation, and of the Pod's, keys included. */
  readonly effect: number
  readonly own: number
  readonly hasEffect: boolean
  /** Of the annotations that say what was done. */
  readonly hasMarks: boolean
}

const marksSize = Object.entries(sent.annotations).flat().join('').length
const warningSize = 'vnode-profile.io/warnings'.length + 'annotations-too-large'.length
const sizes: Record<string, Case> = {
  '200 KiB of its own and an effect of 100 KiB: the effect stays out, and the Pod says so': {
    own: 200 * KIB,
    effect: 100 * KIB,
    hasEffect: false,
    hasMarks: true,
  },
  '100 KiB of its own and an effect of 100 KiB: all of it': {
    own: 100 * KIB,
    effect: 100 * KIB,
    hasEffect: true,
    hasMarks: true,
  },
  'just as much of its own as still lets the effect in': {
    own: BUDGET - 100 * KIB - marksSize - warningSize,
    effect: 100 * KIB,
    hasEffect: true,
    hasMarks: true,
  },
  'one byte more of its own': {
    own: BUDGET - 100 * KIB - marksSize - warningSize + 1,
    effect: 100 * KIB,
    hasEffect: false,
    hasMarks: true,
  },
  'as much of its own as is allowed at all: no room even to say anything': {
    own: BUDGET,
    effect: KIB,
    hasEffect: false,
    hasMarks: false,
  },
}

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  let current: TestWebhook | undefined
  const front = await startReviewServer(t, (review, path) => {
    if (current === undefined) throw new Error('no webhook')
    return forwardTo(current)(review, path)
  })
  const namespace = await controlPlane.namespace(t)
  const pods = `/api/v1/namespaces/${namespace}/pods`
  let made = 0
  /** Fails the test where the Pod is refused. */
  const store = async (overrides: PodOverrides = {}): Promise<StoredPod> => {
    made += 1
    const body: Pod = makePod({ name: `pod-${made}`, labels: LABELS, ...overrides })
    return await controlPlane.ask<StoredPod>('POST', pods, { body })
  }
  const rule = { name: 'one', objectSelector: { matchLabels: LABELS } }
  await setRules(controlPlane, [rule])
  const webhook = await startTestWebhook(t, { controlPlane })
  current = webhook
  await webhook.inForce('one')
  await registerWebhook(t, controlPlane, front)

  t.test('a fault in deciding never refuses a Pod:', async t => {
    let planted: Mutate = mutatePod
    current = await startTestWebhook(t, { controlPlane, mutate: (...given) => planted(...given) })
    t.teardown(() => {
      current = webhook
    })
    const faulty = current
    await faulty.inForce('one')
    for (const [index, [what, mutate]] of Object.entries(faults).entries()) {
      planted = mutate
      const from = faulty.log.length
      const stored = await store()
      t.strictSame(placementOf(stored), { ...UNTOUCHED, labels: LABELS }, `a function ${what}`)
      t.match(stored.spec, { containers: [{ image: 'localhost/app:1' }] })
      t.equal(await faulty.reviews('pods', 'error'), index + 1, 'it is counted')
      const line = await faulty.logged(
        'a fault of ours; the Pod is let through as it is',
        { namespace },
        from,
      )
      t.match(line, { name: stored.metadata.name, level: 'error', error: /./ })
    }
    planted = (...given) => ({ ...mutatePod(...given), advice: [{}] as never })
    t.strictSame(placementOf(await store()), { ...UNTOUCHED, labels: LABELS }, 'warnings that are none')
    await faulty.logged(
      'a fault of ours: an answer that cannot be written; the object is let through as it is',
    )
    t.equal(await faulty.reviews('pods', 'error'), Object.keys(faults).length + 1)
    t.equal(await faulty.reviews('pods', 'patched'), 0, 'each review is counted once')
    planted = mutatePod
    t.strictSame(placementOf(await store()), placed, 'the next Pod, without a fault, is sent')
  })

  const setEffect = async (value: string): Promise<void> => {
    await setRules(controlPlane, [{ ...rule, effect: { annotations: { [EFFECT]: value } } }])
    await webhook.until('the effect is in force', ({ environment }) =>
      environment.rules.rules.some(({ effect }) => effect.annotations.get(EFFECT) === value),
    )
  }

  t.test('annotations are never more than the apiserver takes:', async t => {
    for (const [what, { effect, own, hasEffect, hasMarks }] of Object.entries(sizes)) {
      const value = 'x'.repeat(effect - EFFECT.length)
      await setEffect(value)
      const mine = { [OWN]: 'x'.repeat(own - OWN.length) }
      const { annotations, ...rest } = placementOf(await store({ annotations: mine }))
      const { annotations: marks, ...placedRest } = placed
      t.strictSame(rest, placedRest, `${what}; it is sent`)
      t.strictSame(
        annotations,
        {
          ...mine,
          ...(hasMarks ? marks : {}),
          ...(hasMarks && !hasEffect ? TOO_LARGE : {}),
          ...(hasEffect ? { [EFFECT]: value } : {}),
        },
        what,
      )
    }
  })

  t.test('a Pod that is nearly too large for etcd gets no effect that would make it so', async t => {
    await setEffect('x'.repeat(200 * KIB))
    const env = Array.from({ length: 14 }, (_, index) => ({
      name: `E${index}`,
      value: 'x'.repeat(100 * KIB),
    }))
    const { annotations, ...rest } = placementOf(
      await store({ spec: { containers: [{ name: 'app', image: 'localhost/app:1', env }] } }),
    )
    const { annotations: marks, ...placedRest } = placed
    t.strictSame(rest, placedRest, 'it is sent')
    t.strictSame(annotations, { ...marks, ...TOO_LARGE })
  })
}
