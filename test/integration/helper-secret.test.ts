import { createPrivateKey, X509Certificate } from 'node:crypto'
import t from 'tap'
import { parseBundle } from '../../src/core/certificate/bundle.ts'
import { type CertificateData, SECRET_KEYS } from '../../src/core/certificate/secret-data.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { DryRunLoad } from '../helpers/dry-run-load.ts'
import { install } from '../helpers/helper.ts'
import { holds } from '../helpers/webhook.ts'

interface Damage {
  readonly data?: Readonly<Record<string, string>>
  readonly immutable?: true
  readonly told: RegExp
}

const rubbish = Buffer.from('rubbish').toString('base64')
const all = Object.values(SECRET_KEYS)

/** What becomes of the Secret while Pods are created; no replica restarts, so none of them may be refused. */
const DAMAGE: Readonly<Record<string, Damage>> = {
  'it is deleted': { told: /stage: a next CA is made known: there is no certificate/ },
  'it is filled with rubbish': {
    data: Object.fromEntries(all.map(key => [key, rubbish])),
    told: /stage: a next CA is made known: the certificate cannot be read/,
  },
  'its certificate is emptied': {
    data: { 'tls.crt': '', 'tls.key': '' },
    told: /renew: .*there is no certificate/,
  },
  'the CA has another key': { data: { 'ca.key': rubbish }, told: /stage: .*the key cannot be read/ },
  'its bundle is emptied': { data: { bundle: '' }, told: /mend: the bundle lacked a CA/ },
  'a next CA is there that is none': {
    data: { 'next-ca.crt': rubbish, 'next-ca.key': rubbish },
    told: /mend: the next CA is of no use/,
  },
  'it is made immutable, and is rubbish': {
    data: { 'tls.key': rubbish },
    immutable: true,
    told: /renew: .*the key cannot be read/,
  },
}

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  const { helper, startWebhook } = await install(t, {
    controlPlane,
    name: 'secrets',
    failurePolicy: 'Fail',
    graceMs: 60_000,
    caLife: 3600,
    // A change settles for two seconds; whatever is not due by the calendar is due to the damage.
    certLife: 60,
    periodMs: 60_000,
  })
  const webhook = await startWebhook()
  await webhook.ready()
  await helper.registered('validating')

  for (const [name, { data, immutable, told }] of Object.entries(DAMAGE)) {
    t.test(name, async t => {
      const namespace = await controlPlane.namespace(t)
      await helper.secret(isWhole)
      const load = new DryRunLoad(controlPlane, namespace)
      const before = await webhook.reviews('pods', 'unmatched')
      const started = performance.now()
      if (data === undefined) await controlPlane.ask('DELETE', helper.secretPath)
      else {
        const body = { data, ...(immutable ? { immutable } : {}) }
        await controlPlane.ask('PATCH', helper.secretPath, {
          body,
          contentType: 'application/merge-patch+json',
        })
      }
      await helper.event('CertificatesRepaired', told, 'secret')
      t.comment(`told after ${seconds(started)}`)
      await helper.secret(isWhole)
      t.comment(`whole after ${seconds(started)}`)
      const { bundle = '' } = await helper.secret(isWhole)
      await helper.registered('mutating', ({ webhooks }) =>
        webhooks.every(
          ({ clientConfig }) => clientConfig.caBundle === Buffer.from(bundle).toString('base64'),
        ),
      )
      const afterwards = load.created + 20
      await holds(() => load.created >= afterwards, 10_000)
      await load.stop()
      t.strictSame(load.failures, [])
      t.ok(
        (await webhook.reviews('pods', 'unmatched')) - before >= load.created,
        'the webhook saw each of them',
      )
      t.comment(`${load.created} Pods, none refused`)
    })
  }
}

/** One CA, which alone is trusted, and a certificate of it. */
function isWhole({ caCert, nextCaCert, bundle, cert, key }: CertificateData): boolean {
  try {
    const [authority, leaf] = [new X509Certificate(caCert ?? ''), new X509Certificate(cert ?? '')]
    const isAlone = parseBundle(bundle ?? '').certificates.length === 1 && nextCaCert === undefined
    const isPair = leaf.checkPrivateKey(createPrivateKey(key ?? ''))
    return isAlone && isPair && leaf.verify(authority.publicKey)
  } catch {
    return false
  }
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(2)} s`
}
