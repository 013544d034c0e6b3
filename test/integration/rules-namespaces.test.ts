/** Rules that look at a namespace's labels: what the next Pod becomes when these change, and in a namespace as new as itself. */
import t, { type Test } from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { firstPod, isPlaced, rulesOn, tryPod } from '../helpers/placements.ts'
import { makePod } from '../helpers/pods.ts'
import { registerWebhook } from '../helpers/registration.ts'
import { isSent, podReview, sendReview } from '../helpers/reviews.ts'
import { setRules } from '../helpers/rules.ts'
import { startTestWebhook } from '../helpers/webhook.ts'

const EVERY = [{ key: 'kubernetes.io/metadata.name', operator: 'Exists' }]
const RULES = [
  { name: 'labelled', namespaceSelector: { matchLabels: { burst: 'eci' } } },
  {
    name: 'both',
    namespaceSelector: { matchLabels: { team: 'a' } },
    objectSelector: { matchLabels: { app: 'web' } },
  },
  { name: 'named', namespaces: ['by-name-*'], namespaceSelector: { matchExpressions: EVERY } },
]

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  const webhook = await startTestWebhook(t, { controlPlane })
  await setRules(controlPlane, RULES)
  await webhook.ready()
  await webhook.inForce('labelled', 'both', 'named')
  await registerWebhook(t, controlPlane, webhook)

  const create = async (
    t: Test,
    name: string,
    labels: Readonly<Record<string, string>> = {},
  ): Promise<void> => {
    await controlPlane.ask('POST', '/api/v1/namespaces', { body: { metadata: { name, labels } } })
    t.teardown(() => controlPlane.request('DELETE', `/api/v1/namespaces/${name}`))
  }
  const relabel = (name: string, labels: Readonly<Record<string, string | null>>) =>
    controlPlane.ask('PATCH', `/api/v1/namespaces/${name}`, {
      body: { metadata: { labels } },
      contentType: 'application/merge-patch+json',
    })

  t.test(
    'the next Pod follows a label that is put on its namespace, changed and taken off again',
    async t => {
      const namespace = await controlPlane.namespace(t)
      const took: number[] = []
      for (const [burst, wanted] of [
        ['eci', true],
        ['no', false],
        ['eci', true],
        [null, false],
      ] as const) {
        await relabel(namespace, { burst })
        took.push(
          (
            await firstPod(
              () => tryPod(controlPlane, namespace),
              pod => isPlaced(pod) === wanted,
            )
          ).ms,
        )
      }
      t.comment(`after the answer: ${took.map(ms => `${ms.toFixed(0)} ms`).join(', ')}`)
      t.ok(Math.max(...took) < 1000)
    },
  )

  t.test('kubectl label is followed as well', async t => {
    const namespace = await controlPlane.namespace(t)
    t.equal(isPlaced(await tryPod(controlPlane, namespace)), false)
    t.match(await controlPlane.kubectl(['label', 'namespace', namespace, 'burst=eci']), { code: 0 })
    t.equal(rulesOn((await firstPod(() => tryPod(controlPlane, namespace), isPlaced)).pod), 'labelled')
  })

  t.test('both the namespace and the Pod must match where a rule asks for both', async t => {
    const namespace = await controlPlane.namespace(t, { labels: { team: 'a' } })
    const send = (app: string) => tryPod(controlPlane, namespace, { labels: { app } })
    await firstPod(() => send('web'), isPlaced)
    t.equal(isPlaced(await send('api')), false)
    await relabel(namespace, { team: 'b' })
    await firstPod(
      () => send('web'),
      pod => !isPlaced(pod),
    )
    t.pass()
  })

  t.test('a namespace that is deleted and made anew has its new labels', async t => {
    await create(t, 'twice', { burst: 'eci' })
    t.equal(isPlaced(await tryPod(controlPlane, 'twice')), true)
    await controlPlane.ask('DELETE', '/api/v1/namespaces/twice')
    // Nobody else finalizes it: there is no controller manager.
    const { metadata } = await controlPlane.ask('GET', '/api/v1/namespaces/twice')
    const body = {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: metadata.name },
      spec: { finalizers: [] },
    }
    await controlPlane.ask('PUT', '/api/v1/namespaces/twice/finalize', { body })
    await controlPlane.waitForGone('/api/v1/namespaces/twice')
    await create(t, 'twice')
    await firstPod(
      () => tryPod(controlPlane, 'twice'),
      pod => !isPlaced(pod),
    )
    t.pass()
  })

  t.test('Pods that come right after their namespace know its labels, in a burst too', async t => {
    let missed = 0
    const makeOne = async (name: string): Promise<void> => {
      await create(t, name, { burst: 'eci' })
      if (!isPlaced(await tryPod(controlPlane, name))) missed += 1
    }
    for (let index = 0; index < 50; index += 1) await makeOne(`one-${index}`)
    await Promise.all(
      Array.from({ length: 10 }, async (_, client) => {
        for (let index = 0; index < 10; index += 1) await makeOne(`burst-${client}-${index}`)
      }),
    )
    t.equal(missed, 0, 'of 150')
    await create(t, 'by-name-1')
    t.equal(rulesOn(await tryPod(controlPlane, 'by-name-1')), 'named')
  })

  t.test('a review that comes before the news of its namespace waits for it, and not for long', async t => {
    const send = (name: string) => sendReview(webhook, '/mutate/pods', podReview(makePod(), name))
    let early = 0
    for (let index = 0; index < 10; index += 1) {
      const [answer] = await Promise.all([
        send(`early-${index}`),
        create(t, `early-${index}`, { burst: 'eci' }),
      ])
      if (isSent(answer)) early += 1
    }
    t.comment(`${early} of 10 reviews that were sent together with their namespace knew its labels`)
    t.ok(early > 0)
    const start = performance.now()
    t.equal(isSent(await send('never-there')), false)
    t.comment(`a namespace that is not there: ${(performance.now() - start).toFixed(0)} ms`)
  })
}
