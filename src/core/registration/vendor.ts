/** The vendor's own eci-profile beside us: two that change the same Pods, each unaware of the other. */
import { asArray, asRecord, asString, own } from '../kubernetes/objects.ts'
import { SELECTOR_GROUP, SELECTOR_PLURAL } from '../names.ts'

/** Names of the vendor's MutatingWebhookConfigurations: of the managed component, and of the one that is installed by hand. */
export const VENDOR_NAMES: ReadonlySet<string> = new Set(['vk-webhook', 'eci-profile'])

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
  return VENDOR_NAMES.has(name) || webhooks.some(webhook => webhook.endsWith(`.${SELECTOR_GROUP}`))
}

/** Something of the vendor's that people have to hear of. */
export interface VendorFinding {
  readonly kind: 'MutatingWebhookConfiguration' | 'CustomResourceDefinition'
  readonly name: string
  readonly message: string
}

const NEXT = 'remove it, or take this one out: both change the same Pods, and neither knows of the other'

export function vendorConfiguration(name: string): VendorFinding {
  const message = `the vendor's eci-profile is registered as ${name}; ${NEXT}`
  return { kind: 'MutatingWebhookConfiguration', name, message }
}

/** The vendor's type Selector is known by its scope, ours being namespaced. */
export const VENDOR_CRD: VendorFinding = {
  kind: 'CustomResourceDefinition',
  name: `${SELECTOR_PLURAL}.${SELECTOR_GROUP}`,
  message: `the vendor's Selector CRD is cluster-scoped; it is used as it is: each Selector acts on all namespaces`,
}
