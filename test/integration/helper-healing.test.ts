import t from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { install, type WebhookConfiguration } from '../helpers/helper.ts'
import type { RequestSettings } from '../helpers/kube-http.ts'

interface Edit {
  readonly kind?: 'validating'
  readonly method?: 'DELETE'
  readonly settings?: RequestSettings
  /** What its Event says. */
  readonly told: RegExp
}

const PODS = 'pods.vnode-profile.io'
const merge = (body: object) => ({ body, contentType: 'application/strategic-merge-patch+json' })
const inEntry = (change: object) => merge({ webhooks: [{ name: PODS, ...change }] })
const at = (path: string, value: unknown) => ({
  body: [{ op: 'replace', path, value }],
  contentType: 'application/json-patch+json',
})

const EDITS: Readonly<Record<string, Edit>> = {
  'a caBundle is wiped': {
    settings: inEntry({ clientConfig: { caBundle: '' } }),
    told: /caBundle of pods.vnode-profile.io was changed/,
  },
  'a foreign namespaceSelector is added': {
    settings: inEntry({ namespaceSelector: { matchLabels: { eci: 'true' } } }),
    told: /namespaceSelector of pods.vnode-profile.io was changed/,
  },
  'an objectSelector is changed': {
    settings: inEntry({ objectSelector: { matchLabels: { a: 'b' } } }),
    told: /objectSelector of pods/,
  },
  'a condition is added that is never true': {
    settings: inEntry({ matchConditions: [{ name: 'never', expression: 'false' }] }),
    told: /matchConditions of pods/,
  },
  'an entry is added': {
    settings: merge({
      webhooks: [
        {
          name: 'foreign.example.com',
          clientConfig: { url: 'https://127.0.0.1:1/x' },
          sideEffects: 'None',
          admissionReviewVersions: ['v1'],
        },
      ],
    }),
    told: /entry foreign.example.com is not ours/,
  },
  'all entries are removed': {
    kind: 'validating',
    settings: at('/webhooks', []),
    told: /entry selectors.vnode-profile.io is missing; entry rules.vnode-profile.io is missing/,
  },
  'it is pointed elsewhere, in a way that an apply cannot undo': {
    settings: at('/webhooks/0/clientConfig', {
      service: { namespace: 'a', name: 'b', port: 443, path: '/c' },
    }),
    told: /clientConfig of pods.vnode-profile.io was changed/,
  },
  'failurePolicy and timeout are changed': {
    settings: inEntry({ failurePolicy: 'Fail', timeoutSeconds: 30 }),
    told: /failurePolicy of pods.*timeoutSeconds of pods/,
  },
  'its owner is removed': {
    settings: { body: { metadata: { ownerReferences: null } }, contentType: 'application/merge-patch+json' },
    told: /lost its owner/,
  },
  'it is deleted': { method: 'DELETE', told: /somebody deleted the registration/ },
  'that of rules is deleted': {
    kind: 'validating',
    method: 'DELETE',
    told: /somebody deleted the registration/,
  },
}

const partsOf = ({ webhooks, metadata }: WebhookConfiguration) => {
  const { ownerReferences } = metadata as { ownerReferences?: unknown }
  return JSON.stringify([webhooks, ownerReferences])
}
const isHealed = (before: WebhookConfiguration) => (now: WebhookConfiguration) =>
  partsOf(now) === partsOf(before) && now.metadata.resourceVersion !== before.metadata.resourceVersion

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  const { helper, startWebhook } = await install(t, {
    controlPlane,
    name: 'healing',
    // Nothing but the watches brings it to look.
    periodMs: 60_000,
    graceMs: 60_000,
  })
  const webhook = await startWebhook()
  await webhook.ready()
  await helper.registered('validating')

  t.test('whatever is done to the registration is undone within seconds, and told', async t => {
    for (const [name, { kind = 'mutating', method = 'PATCH', settings = {}, told }] of Object.entries(
      EDITS,
    )) {
      await t.test(name, async t => {
        const before = await helper.registered(kind)
        await helper.metric('registered', { configuration: kind }, 1)
        const started = performance.now()
        await controlPlane.ask(method, helper.path(kind), settings)
        await helper.registered(kind, isHealed(before))
        t.comment(`healed after ${seconds(started)}`)
        t.ok(performance.now() - started < 5000, 'within seconds')
        await helper.event('RegistrationHealed', told)
      })
    }
    await helper.metric('registration_writes_total', { cause: 'edited' }, 9)
    await helper.metric('registration_writes_total', { cause: 'deleted' }, 2)
  })
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(2)} s`
}
