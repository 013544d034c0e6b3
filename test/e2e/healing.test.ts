/** What somebody breaks is whole again within seconds. */
import t from 'tap'
import { CONFIGURATIONS, e2eOrSkip, RELEASE, SYSTEM, secondsSince } from '../helpers/e2e.ts'
import type { KubeObject } from '../helpers/kube-http.ts'

const LONGEST_SECONDS = 15
const [MUTATING = ''] = CONFIGURATIONS
const SECRET = `/api/v1/namespaces/${SYSTEM}/secrets/${RELEASE}-tls`

interface Configuration extends KubeObject {
  readonly webhooks: readonly { readonly clientConfig: { readonly caBundle?: string } }[]
}

interface Secret extends KubeObject {
  readonly data: Readonly<Record<string, string>>
}

const decode = (text: string) => Buffer.from(text, 'base64').toString()
const e2e = await e2eOrSkip(t)

if (e2e !== undefined) {
  const uidOf = async (path: string) => (await e2e.find(path))?.metadata.uid
  const isAnew = async (path: string, old: string | undefined) => {
    const now = await uidOf(path)
    return now !== undefined && now !== old
  }
  const bundle = async () =>
    (await e2e.find<Configuration>(MUTATING))?.webhooks[0]?.clientConfig.caBundle ?? ''
  /** A new CA is trusted for half a minute before it is used. Whether the CA in the Secret is among those that the API server is told to trust. */
  const isTrusted = async (key = 'ca.crt') => {
    const ca = (await e2e.find<Secret>(SECRET))?.data[key] ?? ''
    return ca !== '' && decode(await bundle()).includes(decode(ca).trim())
  }
  const cases = new Map<string, () => Promise<() => Promise<boolean>>>([
    [
      'a caBundle that is wiped',
      async () => {
        const body = [{ op: 'remove', path: '/webhooks/0/clientConfig/caBundle' }]
        const contentType = 'application/json-patch+json'
        await e2e.kube.request({ method: 'PATCH', path: MUTATING, body, contentType })
        return () => isTrusted()
      },
    ],
    ...CONFIGURATIONS.map(
      path =>
        [
          `${path.split('/').at(-2)} that is deleted`,
          async () => {
            const old = await uidOf(path)
            await e2e.remove(path)
            return () => isAnew(path, old)
          },
        ] as const,
    ),
    [
      'a Secret that is deleted',
      async () => {
        const old = await uidOf(SECRET)
        await e2e.remove(SECRET)
        return async () =>
          (await isAnew(SECRET, old)) && ((await isTrusted('next-ca.crt')) || (await isTrusted()))
      },
    ],
  ])

  await e2e.install()
  for (const [what, spoil] of cases) {
    await t.test(`${what} is healed`, async t => {
      const start = performance.now()
      const isHealed = await spoil()
      await e2e.waitFor(what, async () => (await isHealed()) || undefined)
      const healed = secondsSince(start)
      await e2e.waitForMark()
      const marked = secondsSince(start)
      t.comment(`${what}: there again after ${healed} s, Pods marked after ${marked} s`)
      t.ok(marked < LONGEST_SECONDS, `within ${LONGEST_SECONDS} s`)
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
