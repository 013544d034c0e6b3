/** The vendor's own eci-profile beside us: two that change the same Pods, each unaware of the other. */
import { asArray, asRecord, asString, own } from '../kubernetes/objects.ts'
import { SELECTOR_GROUP } from '../names.ts'

/** Names of the vendor's MutatingWebhookConfigurations: of the managed component, and of the one that is installed by hand. */
const NAMES: ReadonlySet<string> = new Set(['vk-webhook', 'eci-profile'])

/** What a MutatingWebhookConfiguration tells of its webhooks. */
export interface MutatingFacts {
  readonly name: string
  readonly webhooks: readonly string[]
}

export function mutatingFactsOf(raw: unknown): MutatingFacts {
  const record = asRecord(raw)
  return {
    name: asString(own(asRecord(own(record, 'metadata')), 'name')) ?? '',
    webhooks: asArray(own(record, 'webhooks')).flatMap(one => asString(own(asRecord(one), 'name')) ?? []),
  }
}

/** The vendor's webhooks are called `….eci.aliyun.com`, whatever their configuration is called. */
export function isVendor({ name, webhooks }: MutatingFacts): boolean {
  return NAMES.has(name) || webhooks.some(webhook => webhook.endsWith(`.${SELECTOR_GROUP}`))
}
