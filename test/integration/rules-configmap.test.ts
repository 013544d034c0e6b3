/** Edits of the rules' ConfigMap with the real kubectl: what the next Pod becomes, and what people are told. */
import t from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { firstPod, rulesOn, tryPod } from '../helpers/placements.ts'
import { registerWebhook } from '../helpers/registration.ts'
import { startTestWebhook } from '../helpers/webhook.ts'

interface Event extends KubeObject {
  reason: string
  message: string
  type: string
  count: number
  involvedObject: { kind: string; name: string; uid: string; resourceVersion: string }
}

interface ConfigMap extends KubeObject {
  data: Record<string, string>
  metadata: KubeObject['metadata'] & { managedFields: { manager: string }[] }
}

const CONFIGMAP = '/api/v1/namespaces/kube-system/configmaps/eci-profile'
const EVENTS = '/api/v1/namespaces/kube-system/events?fieldSelector=involvedObject.name%3Deci-profile'

const ruleFor = (name: string) => ({ name, objectSelector: { matchLabels: { app: 'web' } } })
const text = (...names: readonly string[]) => JSON.stringify(names.map(ruleFor), null, 2)

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  const webhook = await startTestWebhook(t, { controlPlane })

  const kubectl = async (args: readonly string[], input = ''): Promise<string> => {
    const { code, stdout, stderr } = await controlPlane.kubectl(args, { input })
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`)
    return stdout
  }
  const manifest = (data: Readonly<Record<string, string>>) =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'eci-profile', namespace: 'kube-system' },
      data,
    })
  const patch = (data: Readonly<Record<string, string | null>>) =>
    kubectl([
      '-n',
      'kube-system',
      'patch',
      'configmap',
      'eci-profile',
      '--type=merge',
      '-p',
      JSON.stringify({ data }),
    ])
  const current = () => controlPlane.ask<ConfigMap>('GET', CONFIGMAP)
  /** The Event about this edit, once it is there. */
  const eventOf = async ({ metadata }: KubeObject, reason: string): Promise<Event> => {
    const isIt = (event: Event) =>
      event.reason === reason && event.involvedObject.resourceVersion === metadata.resourceVersion
    const events = await controlPlane.waitForAll<Event>(EVENTS, events => events.some(isIt))
    const [event, ...more] = events.filter(isIt)
    if (event === undefined || more.length > 0) throw new Error(`not one Event: ${JSON.stringify(events)}`)
    return event
  }
  const send = () => tryPod(controlPlane, 'default', { labels: { app: 'web' } })
  const measure = async () => {
    const metrics = await webhook.metrics()
    return {
      loaded: metrics.sum('vnode_profile_rules_loaded', { origin: 'ConfigMap' }),
      refused: metrics.sum('vnode_profile_rules_refused', { origin: 'ConfigMap' }),
      edits: metrics.sum('vnode_profile_refused_edits_total', { origin: 'ConfigMap' }) ?? 0,
      isNewest: metrics.sum('vnode_profile_rules_last_reload_success'),
    }
  }

  await webhook.ready()
  await registerWebhook(t, controlPlane, webhook)

  t.test('without a ConfigMap the webhook is ready and leaves Pods alone', async t => {
    t.equal(rulesOn(await send()), '')
    t.equal((await measure()).loaded, 0)
  })

  const WAYS: Readonly<Record<string, () => Promise<unknown>>> = {
    'kubectl create': () => kubectl(['create', '-f', '-'], manifest({ selectors: text('created') })),
    'kubectl apply': () => kubectl(['apply', '-f', '-'], manifest({ selectors: text('applied') })),
    'kubectl apply --server-side': () =>
      kubectl(
        ['apply', '--server-side', '--force-conflicts', '-f', '-'],
        manifest({ selectors: text('owned') }),
      ),
    'kubectl patch': () => patch({ selectors: text('patched') }),
    'kubectl replace': () => kubectl(['replace', '-f', '-'], manifest({ selectors: text('replaced') })),
    'kubectl replace --force, which deletes it first': () =>
      kubectl(['replace', '--force', '-f', '-'], manifest({ selectors: text('forced') })),
    'a request of a client': () =>
      controlPlane.ask('PATCH', CONFIGMAP, {
        body: { data: { selectors: text('direct') } },
        contentType: 'application/merge-patch+json',
      }),
  }

  for (const [way, edit] of Object.entries(WAYS)) {
    t.test(`the next Pod follows an edit by ${way}`, async t => {
      await edit()
      const [name = ''] = JSON.parse((await current()).data.selectors ?? '').map(
        (rule: { name: string }) => rule.name,
      )
      const { ms, tries } = await firstPod(send, pod => rulesOn(pod) === name)
      t.comment(`${ms.toFixed(0)} ms after the answer, ${tries} Pods earlier`)
      t.ok(ms < 1000, 'within a second')
    })
  }

  t.test('an edit takes effect within a second, twenty times in a row', async t => {
    const took: number[] = []
    for (let round = 0; round < 20; round += 1) {
      const body = { data: { selectors: text(`round-${round}`) } }
      await controlPlane.ask('PATCH', CONFIGMAP, { body, contentType: 'application/merge-patch+json' })
      took.push((await firstPod(send, pod => rulesOn(pod) === `round-${round}`)).ms)
    }
    took.sort((a, b) => a - b)
    const [median = 0, worst = 0] = [took[10], took[19]]
    t.comment(
      `from the edit's answer to the first Pod that follows: median ${median.toFixed(0)} ms, worst ${worst.toFixed(0)} ms`,
    )
    t.ok(worst < 1000)
  })

  /** What is written in place of the rules `good`, and what is said about it. */
  const BAD: Readonly<Record<string, readonly [text: string, says: RegExp]>> = {
    'a comma too few': [
      '[\n  {"name": "a"\n   "objectSelector": {"matchLabels": {"app": "web"}}}\n]',
      /^data\.selectors is not applied: line 3, column 4: the text is not valid JSON or YAML: /,
    ],
    'a text cut off': ['[{"name": "a",', /line 1, column 15: the text is not valid JSON or YAML/],
    'an unknown field': [
      '[{"name": "a",\n  "objectSelectors": {}}]',
      /line 2, column 3: rule "a": \[0\]\.objectSelectors: unknown field; a rule has name, /,
    ],
    'a selector with an unknown operator': [
      '- name: a\n  objectSelector:\n    matchExpressions:\n    - {key: app, operator: Is, values: [web]}\n',
      /line 4, column 28: rule "a": \[0\]\.objectSelector\.matchExpressions\[0\]\.operator: .*\(found "Is"\)/,
    ],
    'something that is no list': ['{"name": "a"}', /line 1, column 1: must be a list of rules/],
  }

  for (const [what, [bad, says]] of Object.entries(BAD)) {
    t.test(
      `an edit with ${what} is not applied: old rules stay, an Event says where, and another that it is mended`,
      async t => {
        await patch({ selectors: text('good') })
        await firstPod(send, pod => rulesOn(pod) === 'good')
        const before = await measure()
        await patch({ selectors: bad })
        const refused = await eventOf(await current(), 'RulesRefused')
        t.equal(rulesOn(await send()), 'good')
        t.match(refused.message, says)
        t.match(refused.message, /; the last good rules stay in force$/)
        t.match(refused, {
          type: 'Warning',
          involvedObject: { kind: 'ConfigMap', uid: (await current()).metadata.uid },
        })
        const shown = await kubectl([
          '-n',
          'kube-system',
          'get',
          'events',
          '--field-selector',
          'involvedObject.name=eci-profile',
        ])
        t.ok(shown.includes(refused.message), 'kubectl get events shows it')
        t.same(await measure(), {
          loaded: 1,
          refused: 1,
          edits: before.edits + 1,
          isNewest: 0,
        })
        t.equal((await fetch(`${webhook.opsUrl}/readyz`)).status, 200)
        await patch({ selectors: text('mended') })
        await firstPod(send, pod => rulesOn(pod) === 'mended')
        const mended = await eventOf(await current(), 'RulesApplied')
        t.match(mended, { type: 'Normal', message: 'the rules are valid again and in force' })
        t.same(await measure(), { loaded: 1, refused: 0, edits: before.edits + 1, isNewest: 1 })
      },
    )
  }

  t.test(
    "the cluster's own keys can be edited while the rules are bad: nothing is said again, and everything survives",
    async t => {
      await patch({ selectors: text('good'), vpcId: 'vpc-1' })
      await firstPod(send, pod => rulesOn(pod) === 'good')
      await patch({ selectors: '[{' })
      await eventOf(await current(), 'RulesRefused')
      const [lines, before] = [webhook.log.length, await measure()]
      await patch({ vSwitchIds: 'vsw-1,vsw-2' })
      const { metadata, data } = await current()
      t.same(data, { selectors: '[{', vpcId: 'vpc-1', vSwitchIds: 'vsw-1,vsw-2' })
      await patch({ selectors: text('mended') })
      await firstPod(send, pod => rulesOn(pod) === 'mended')
      await eventOf(await current(), 'RulesApplied')
      const events = await controlPlane.ask<{ items: Event[] }>('GET', EVENTS)
      t.notOk(events.items.some(event => event.involvedObject.resourceVersion === metadata.resourceVersion))
      t.notOk(webhook.log.slice(lines).some(line => line.msg.startsWith('rules refused')))
      t.equal((await measure()).edits, before.edits)
      t.same((await current()).data, { selectors: text('mended'), vpcId: 'vpc-1', vSwitchIds: 'vsw-1,vsw-2' })
    },
  )

  t.test('eleven thousand rules take effect like one, and are kept as the last good ones', async t => {
    const many = (last: string) => {
      const rules: object[] = Array.from({ length: 11_000 }, (_, index) => ({
        name: `rule-${index}`,
        objectSelector: { matchLabels: { team: `t-${index}` } },
      }))
      return JSON.stringify([...rules, ruleFor(last)])
    }
    for (const last of ['large', 'larger']) {
      const body = { data: { selectors: many(last) } }
      await controlPlane.ask('PATCH', CONFIGMAP, { body, contentType: 'application/merge-patch+json' })
      const { ms, tries } = await firstPod(send, pod => rulesOn(pod) === last)
      t.comment(
        `${body.data.selectors.length} bytes: ${ms.toFixed(0)} ms after the answer, ${tries} Pods earlier`,
      )
      const kept = '/api/v1/namespaces/vnode-system/configmaps/vnode-profile-last-good-rules'
      await controlPlane.waitFor<ConfigMap>(kept, ({ data }) => data.selectors === body.data.selectors)
    }
    t.equal((await measure()).loaded, 11_001)
  })

  t.test(
    'a ConfigMap without rules, and rules that are an empty text, are no rules and no fault',
    async t => {
      const { edits } = await measure()
      for (const selectors of [null, text('again'), '', text('again'), '[]\n', '# nothing\n']) {
        await patch({ selectors })
        await firstPod(send, pod => rulesOn(pod) === (selectors?.includes('again') ? 'again' : ''))
      }
      t.equal((await measure()).edits, edits)
      t.equal((await measure()).isNewest, 1)
    },
  )

  t.test('comments and YAML are rules like any others', async t => {
    await patch({
      selectors:
        '# whose\n[ // mine\n  {"name": "commented", "objectSelector": {"matchLabels": {"app": "web"}}},\n]',
    })
    await firstPod(send, pod => rulesOn(pod) === 'commented')
    await patch({ selectors: '- name: yaml\n  objectSelector: {matchLabels: {app: web}} # mine\n' })
    await firstPod(send, pod => rulesOn(pod) === 'yaml')
    t.equal((await measure()).isNewest, 1)
  })

  t.test('the webhook has never written the ConfigMap, and may not', async t => {
    const managers = (await current()).metadata.managedFields.map(({ manager }) => manager)
    t.notOk(managers.includes('vnode-profile'), managers.join())
    const user = 'vnode-webhook-1'
    for (const [method, settings] of Object.entries({
      PATCH: { body: { data: { a: 'b' } }, contentType: 'application/merge-patch+json' },
      DELETE: {},
    })) {
      t.equal(
        (await controlPlane.request(method, CONFIGMAP, { as: { user }, ...settings })).status,
        403,
        method,
      )
    }
  })

  t.test('nothing in the log is an unexplained fault', async t => {
    const faults = webhook.log.filter(
      ({ level, msg }) => level === 'error' && !msg.startsWith('rules refused'),
    )
    t.same(faults, [])
  })
}
