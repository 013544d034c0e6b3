/** What somebody breaks is whole again within seconds, and an Event and a metric tell of it. */
import t from 'tap'
import { CONFIGURATIONS, e2eOrSkip, RELEASE, SYSTEM } from '../helpers/e2e.ts'
import { eventsAbout, helperMetrics, SECRET } from '../helpers/e2e-helper.ts'
import { secondsSince } from '../helpers/e2e-load.ts'
import type { KubeObject } from '../helpers/kube-http.ts'

/** Some two seconds on a quiet machine. */
const LONGEST_SECONDS = 30
/** A new CA is trusted for a thirtieth of a life, and half a minute at most, before it is used. */
const LIVES = ['--set', 'certificates.life=10m', '--set', 'certificates.caLife=10m']
const [MUTATING = '', VALIDATING = ''] = CONFIGURATIONS

interface Configuration extends KubeObject {
  readonly webhooks: readonly {
    readonly clientConfig: { readonly caBundle?: string }
    readonly namespaceSelector: object
  }[]
}

interface Secret extends KubeObject {
  readonly data: Readonly<Record<string, string>>
}

interface Case {
  readonly what: string
  readonly spoil: () => Promise<unknown>
  readonly isHealed: () => Promise<boolean>
  /** Where it is told. */
  readonly kind: 'MutatingWebhookConfiguration' | 'ValidatingWebhookConfiguration' | 'Secret'
  readonly metric: Readonly<Record<string, string>>
}

const TOLD = {
  configuration: { namespace: 'default', reason: 'RegistrationHealed', metric: 'registration_writes_total' },
  secret: { namespace: SYSTEM, reason: 'CertificatesRepaired', metric: 'certificate_writes_total' },
}

const decode = (text: string) => Buffer.from(text, 'base64').toString()
const e2e = await e2eOrSkip(t)

if (e2e !== undefined) {
  const patch = (path: string, type: 'json' | 'merge', body: object) =>
    e2e.kube.request({ method: 'PATCH', path, body, contentType: `application/${type}-patch+json` })
  const entry = async () => (await e2e.find<Configuration>(MUTATING))?.webhooks[0]
  /** Whether the CA in the Secret is among those that the API server is told to trust. */
  const isTrusted = async (key = 'ca.crt') => {
    const ca = decode((await e2e.find<Secret>(SECRET))?.data[key] ?? '')
    return (
      ca.includes('CERTIFICATE') && decode((await entry())?.clientConfig.caBundle ?? '').includes(ca.trim())
    )
  }
  const isAnyTrusted = async () => (await isTrusted('next-ca.crt')) || (await isTrusted())
  /** Whether it is there, and is another than it was. */
  const anew = async (path: string) => {
    const uid = async () => (await e2e.find(path))?.metadata.uid
    const old = await uid()
    return async () => ![undefined, old].includes(await uid())
  }

  await e2e.install(...LIVES)
  const selector = JSON.stringify((await entry())?.namespaceSelector)
  const isNew = {
    mutating: await anew(MUTATING),
    validating: await anew(VALIDATING),
    secret: await anew(SECRET),
  }
  const cases: readonly Case[] = [
    {
      what: 'a caBundle that is wiped',
      spoil: () => patch(MUTATING, 'json', [{ op: 'remove', path: '/webhooks/0/clientConfig/caBundle' }]),
      isHealed: isTrusted,
      kind: 'MutatingWebhookConfiguration',
      metric: { configuration: 'mutating', cause: 'edited' },
    },
    {
      what: 'a namespaceSelector with a foreign condition',
      spoil: () =>
        patch(MUTATING, 'json', [
          { op: 'add', path: '/webhooks/0/namespaceSelector/matchLabels', value: { foreign: 'true' } },
        ]),
      isHealed: async () => JSON.stringify((await entry())?.namespaceSelector) === selector,
      kind: 'MutatingWebhookConfiguration',
      metric: { configuration: 'mutating', cause: 'edited' },
    },
    {
      what: 'a mutating configuration that is deleted',
      spoil: () => e2e.remove(MUTATING),
      isHealed: isNew.mutating,
      kind: 'MutatingWebhookConfiguration',
      metric: { configuration: 'mutating', cause: 'deleted' },
    },
    {
      what: 'a validating configuration that is deleted',
      spoil: () => e2e.remove(VALIDATING),
      isHealed: isNew.validating,
      kind: 'ValidatingWebhookConfiguration',
      metric: { configuration: 'validating', cause: 'deleted' },
    },
    {
      what: 'a Secret that is filled with rubbish',
      spoil: async () => {
        const keys = Object.keys((await e2e.find<Secret>(SECRET))?.data ?? {})
        const rubbish = Buffer.from('rubbish').toString('base64')
        await patch(SECRET, 'merge', { data: Object.fromEntries(keys.map(key => [key, rubbish])) })
      },
      isHealed: isAnyTrusted,
      kind: 'Secret',
      metric: { repair: 'true' },
    },
    {
      what: 'a Secret that is deleted',
      spoil: () => e2e.remove(SECRET),
      isHealed: async () => (await isNew.secret()) && (await isAnyTrusted()),
      kind: 'Secret',
      metric: { repair: 'true' },
    },
  ]

  for (const { what, spoil, isHealed, kind, metric } of cases) {
    await t.test(`${what} is healed`, async t => {
      const told = TOLD[kind === 'Secret' ? 'secret' : 'configuration']
      const events = () => eventsAbout(e2e, { ...told, kind })
      const known = new Set((await events()).map(({ metadata }) => metadata.uid))
      const counted = async () => (await helperMetrics(e2e)).sum(told.metric, metric)
      const before = await counted()

      const start = performance.now()
      await spoil()
      await e2e.waitFor(what, async () => (await isHealed()) || undefined)
      const healed = secondsSince(start)
      await e2e.waitForMark()
      const marked = secondsSince(start)
      t.comment(`${what}: there again after ${healed} s, Pods marked after ${marked} s`)
      t.ok(marked < LONGEST_SECONDS, `within ${LONGEST_SECONDS} s`)
      t.ok((await counted()) > before, `${told.metric} counts it`)
      const event = await e2e.waitFor(`an Event ${told.reason}`, async () =>
        (await events()).find(({ metadata }) => !known.has(metadata.uid)),
      )
      t.comment(`${event.reason}: ${event.message}`)
    })
  }

  await t.test('the certificates of the new Secret take over, and no Pod is missed', async t => {
    const load = await e2e.during(20, () =>
      e2e.waitFor('its CA is in use', async () => (await isTrusted()) || undefined),
    )
    t.comment(`in use after ${load.seconds} s; ${load.created} Pods, ${load.unmarked.length} unmarked`)
    t.strictSame(load.unmarked, [])
    t.strictSame(load.refused, [])
  })

  await t.test('helm test is green afterwards', async t => {
    t.match(await e2e.helm('test', RELEASE), /Phase:\s+Succeeded/)
  })
}
