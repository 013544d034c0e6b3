/** The two webhook configurations: registered, healed when somebody changes them, withdrawn. */
import { asRecord, asString, own } from '../core/kubernetes/objects.ts'
import { REGISTRATION_MANAGER } from '../core/names.ts'
import {
  type Binding,
  CONFIGURATION_KINDS,
  type Configuration,
  type ConfigurationKind,
  kindOf,
  pluralOf,
  REGISTRATION_GROUP,
  type RegistrationSpec,
  renderConfiguration,
} from '../core/registration/configuration.ts'
import {
  bundleOf,
  driftOf,
  editorOf,
  entriesOf,
  isOurs,
  isTrusting,
  mergeInjected,
} from '../core/registration/drift.ts'
import { isStatus, type KubeClient } from '../kube/api.ts'
import type { EventWriter } from '../kube/event.ts'
import { resourcePath } from '../kube/path.ts'
import type { HelperMetrics } from '../telemetry/helper-metrics.ts'
import type { Logger } from '../telemetry/logger.ts'

export interface RegistrationOptions {
  /** The leader's. */
  readonly client: Pick<KubeClient, 'request' | 'apply'>
  readonly spec: RegistrationSpec
  readonly log: Logger
  readonly metrics: HelperMetrics
  readonly events: Pick<EventWriter, 'emit'>
}

/** Both configurations as they are; undefined where there is none of ours. */
export interface Registered extends Readonly<Record<ConfigurationKind, unknown>> {
  /** Somebody else's that have our names, such as `MutatingWebhookConfiguration x`: never written, and never withdrawn. */
  readonly foreign?: readonly string[]
}

/** Why a configuration was written. */
export type RegistrationCause =
  /** There was none. */
  | 'registered'
  /** It was right by what we wanted before, or by what an older helper wanted. */
  | 'updated'
  /** Somebody else had changed or deleted it. */
  | 'edited'
  | 'deleted'
  | 'withdrawn'

export class Registration {
  readonly #options: RegistrationOptions
  /** What this leader has last seen in force, and wanted. */
  readonly #inForce = new Map<ConfigurationKind, Configuration>()
  /** By uid, what was seen to be ours: whatever is done to it since is an edit. */
  readonly #ours = new Set<string>()

  constructor(options: RegistrationOptions) {
    this.#options = options
  }

  async read(): Promise<Registered> {
    const found = await Promise.all(CONFIGURATION_KINDS.map(kind => this.#read(kind)))
    const [mutating, validating] = found.map(one => (this.#isForeign(one) ? undefined : one))
    const foreign = CONFIGURATION_KINDS.filter((_, index) => this.#isForeign(found[index]))
    const { isRegistered } = this.#options.metrics
    isRegistered.set({ configuration: 'mutating' }, Number(mutating !== undefined))
    isRegistered.set({ configuration: 'validating' }, Number(validating !== undefined))
    return {
      mutating,
      validating,
      foreign: foreign.map(kind => `${kindOf(kind)} ${this.#options.spec.name}`),
    }
  }

  #isForeign(actual: unknown): boolean {
    if (actual === undefined) return false
    const { uid } = versionOf(actual)
    if (isOurs(actual, REGISTRATION_MANAGER)) this.#ours.add(uid)
    return !this.#ours.has(uid)
  }

  /** Makes both as they should be; why, for each that was written. Not for where one is {@link Registered.foreign}. */
  async ensure(registered: Registered, binding: Binding): Promise<readonly RegistrationCause[]> {
    const causes: (RegistrationCause | undefined)[] = []
    for (const kind of CONFIGURATION_KINDS) causes.push(await this.#ensure(kind, registered[kind], binding))
    return causes.filter(cause => cause !== undefined)
  }

  async withdraw(registered: Registered, reason: string): Promise<void> {
    for (const kind of CONFIGURATION_KINDS) {
      if (registered[kind] === undefined) continue
      const body = { preconditions: versionOf(registered[kind]) }
      await this.#options.client.request({ method: 'DELETE', path: this.#path(kind), body })
      this.#inForce.delete(kind)
      this.#tell({ kind, cause: 'withdrawn', reasons: [reason], object: registered[kind] })
    }
  }

  async #read(kind: ConfigurationKind): Promise<unknown> {
    try {
      return await this.#options.client.request<unknown>({ method: 'GET', path: this.#path(kind) })
    } catch (error) {
      if (isStatus(error, 404)) return undefined
      throw error
    }
  }

  async #ensure(
    kind: ConfigurationKind,
    actual: unknown,
    binding: Binding,
  ): Promise<RegistrationCause | undefined> {
    const wanted = renderConfiguration(kind, this.#specFor(actual), binding)
    const before = this.#inForce.get(kind)
    const drift = actual === undefined ? ['there was none'] : driftOf(wanted, actual)
    this.#inForce.set(kind, wanted)
    if (drift.length === 0) return undefined
    const foreign = before === undefined || actual === undefined ? [] : driftOf(before, actual)
    const object = await this.#write(kind, wanted, actual).catch(error => {
      // Not in force, so the next round compares with what was.
      if (before === undefined) this.#inForce.delete(kind)
      else this.#inForce.set(kind, before)
      throw error
    })
    const cause = causeOf({ isNew: actual === undefined, isKnown: before !== undefined, foreign })
    const editor = editorOf(actual, REGISTRATION_MANAGER)
    const told = editor === undefined ? foreign : [...foreign, `last written by ${editor}`]
    this.#tell({ kind, cause, reasons: foreign.length > 0 ? told : drift, object })
    return cause
  }

  /** Until a CA is injected every call fails, and that must refuse no Pod. */
  #specFor(actual: unknown): RegistrationSpec {
    const { spec } = this.#options
    return spec.injectFrom === undefined || isTrusting(actual) ? spec : { ...spec, failurePolicy: 'Ignore' }
  }

  async #write(kind: ConfigurationKind, wanted: Configuration, actual: unknown): Promise<unknown> {
    const object = await this.#apply(kind, wanted, actual)
    // An apply neither removes what somebody has added, nor takes a `url` out of the way of our `service` (observed).
    return object !== undefined && driftOf(wanted, object).length === 0
      ? object
      : this.#replace(kind, wanted, object ?? actual)
  }

  /** The object as it is then; undefined if what others have put in it makes ours invalid. */
  async #apply(kind: ConfigurationKind, wanted: Configuration, actual: unknown): Promise<unknown> {
    // With the uid, an apply that comes late creates nothing.
    const metadata = { ...wanted.metadata, ...(actual === undefined ? {} : versionOf(actual)) }
    // What an apply of ours has once named is removed by one that does not name it: the caBundle, once another is to give it.
    const object = { ...wanted, metadata, webhooks: mergeInjected(wanted, actual) }
    const options = { force: true, fieldManager: REGISTRATION_MANAGER }
    try {
      return await this.#options.client.apply<unknown>(this.#path(kind), object, options)
    } catch (error) {
      if (actual !== undefined && isStatus(error, 422)) return undefined
      throw error
    }
  }

  /** All entries at once, whoever owns them. */
  async #replace(kind: ConfigurationKind, wanted: Configuration, actual: unknown): Promise<unknown> {
    return this.#options.client.request<unknown>({
      method: 'PATCH',
      path: this.#path(kind),
      query: { fieldManager: REGISTRATION_MANAGER },
      contentType: 'application/json-patch+json',
      body: [
        { op: 'replace', path: '/metadata/resourceVersion', value: versionOf(actual).resourceVersion },
        { op: 'add', path: '/webhooks', value: mergeInjected(wanted, actual) },
      ],
    })
  }

  #tell({ kind, cause, reasons, object }: Told): void {
    const { log, metrics, events, spec } = this.#options
    metrics.registrationWrites.inc({ configuration: kind, cause })
    const { level, type, reason, message } = WORDS[cause]
    log[level]({ configuration: `${kind}/${spec.name}`, reasons }, message)
    const { uid, resourceVersion } = versionOf(object)
    const apiVersion = `${REGISTRATION_GROUP}/v1`
    events.emit({
      involved: { apiVersion, kind: kindOf(kind), name: spec.name, uid },
      type,
      reason,
      message: `${message}: ${reasons.join('; ')}`,
      key: `${cause} ${resourceVersion}`,
    })
  }

  #path(kind: ConfigurationKind): string {
    const { name } = this.#options.spec
    return resourcePath({ group: REGISTRATION_GROUP, version: 'v1', plural: pluralOf(kind), name })
  }
}

interface Told {
  readonly kind: ConfigurationKind
  readonly cause: RegistrationCause
  readonly reasons: readonly string[]
  readonly object: unknown
}

interface Words {
  readonly level: 'info' | 'warn'
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly message: string
}

const WORDS: Readonly<Record<RegistrationCause, Words>> = {
  registered: {
    level: 'info',
    type: 'Normal',
    reason: 'WebhookRegistered',
    message: 'the webhook is registered',
  },
  updated: {
    level: 'info',
    type: 'Normal',
    reason: 'WebhookUpdated',
    message: 'the registration is brought up to date',
  },
  edited: {
    level: 'warn',
    type: 'Warning',
    reason: 'RegistrationHealed',
    message: 'somebody changed the registration; it is healed',
  },
  deleted: {
    level: 'warn',
    type: 'Warning',
    reason: 'RegistrationHealed',
    message: 'somebody deleted the registration; it is back',
  },
  withdrawn: {
    level: 'warn',
    type: 'Warning',
    reason: 'WebhookWithdrawn',
    message: 'the registration is withdrawn',
  },
}

interface Write {
  readonly isNew: boolean
  /** Whether this leader has seen it in force before. */
  readonly isKnown: boolean
  readonly foreign: readonly string[]
}

function causeOf({ isNew, isKnown, foreign }: Write): RegistrationCause {
  if (isNew) return isKnown ? 'deleted' : 'registered'
  return foreign.length > 0 ? 'edited' : 'updated'
}

/** The caBundle of every entry, as PEM; an entry that is missing trusts nobody. */
export function bundlesOf(registered: Registered): readonly string[] {
  return CONFIGURATION_KINDS.flatMap(kind => [...entriesOf(registered[kind]).values()].map(bundleOf))
}

function versionOf(object: unknown): { readonly uid: string; readonly resourceVersion: string } {
  const metadata = asRecord(own(asRecord(object), 'metadata'))
  return {
    uid: asString(own(metadata, 'uid')) ?? '',
    resourceVersion: asString(own(metadata, 'resourceVersion')) ?? '',
  }
}
