/** The work of one term as the leader. Everything in it ends with the term. */
import { messageOf } from '../core/errors.ts'
import { isAtLeast, parseVersion } from '../core/kubernetes/version.ts'
import { REGISTRATION_GROUP, type RegistrationSpec } from '../core/registration/configuration.ts'
import { SLICES_SINCE_MINOR } from '../core/registration/endpoints.ts'
import type { KubeClient } from '../kube/api.ts'
import { Backoff } from '../kube/backoff.ts'
import { type Clock, sleep } from '../kube/clock.ts'
import { EventWriter } from '../kube/event.ts'
import type { Term } from '../kube/term.ts'
import { clientOf } from '../kube/term-client.ts'
import { ClusterRules } from '../rules/cluster-rules.ts'
import { rulesReporter } from '../rules/reporter.ts'
import type { HelperMetrics } from '../telemetry/helper-metrics.ts'
import type { Logger } from '../telemetry/logger.ts'
import { Certificates } from './certificates.ts'
import { Duties } from './duties.ts'
import { keepProbing } from './probe.ts'
import { Registration } from './registration.ts'
import { servernameOf } from './replicas.ts'
import type { HelperSettings } from './settings.ts'
import { keepSpilling } from './spill/run.ts'
import { VendorWatch } from './vendor.ts'
import { Wake } from './wake.ts'
import { Watches } from './watches.ts'

export interface LeadOptions {
  readonly client: KubeClient
  readonly settings: HelperSettings
  readonly log: Logger
  readonly metrics: HelperMetrics
  readonly clock: Clock
  /** After each round: what was wrong, undefined if nothing. */
  readonly onRound: (problem: string | undefined) => void
  /** What keeps it from its work on Pods; undefined if nothing does. */
  readonly onSpill: (problem: string | undefined) => void
}

/** Resolves when the term is over and nothing of its work runs any more. */
export async function lead(term: Term, options: LeadOptions): Promise<void> {
  const { log, clock } = options
  const client = clientOf(term, options.client)
  const { signal } = term
  const abilities = await readAbilities(client, options, signal)
  if (abilities === undefined) return
  const spec = specFor(options.settings.registration, abilities, log)
  const events = new EventWriter({
    client,
    onLost: ({ reason, message }, error) => {
      if (!signal.aborted) log.warn({ reason, message, error: String(error) }, 'an Event was lost')
    },
  })
  const wake = new Wake(clock)
  const rules = rulesOf({ ...options, client, events })
  const parts = { ...options, client, events, rules }
  const watches = new Watches({ ...parts, hasSlices: abilities.hasSlices, onNews: wake.now })
  const duties = dutiesOf(parts, spec, watches)
  const onMutating = (name: string) => (name === spec.name ? wake.now() : undefined)
  watches.start()
  await rules.start()
  await Promise.all([
    goOnDuty(duties, wake, { ...options, signal }),
    new VendorWatch({ ...parts, onMutating }).run(signal),
    keepProbing(probingOf(parts, spec, duties), signal),
    spillOn(parts, signal),
  ])
  await watches.stop()
  await rules.stop()
  await events.stop()
}

/** What the duties of a term share; its client ends with the term. */
export interface Parts extends LeadOptions {
  readonly events: EventWriter
  /** Rules, namespaces and VNodes as the webhook sees them. */
  readonly rules: ClusterRules
}

async function spillOn(parts: Parts, signal: AbortSignal): Promise<void> {
  const { settings, onSpill } = parts
  if (settings.spill === undefined) return
  await keepSpilling({ ...parts, settings: settings.spill, onTrouble: onSpill }, signal)
}

/** Followed by the leader alone: it tells of edits by Events, and keeps the last good text for the webhook's replicas. */
function rulesOf(options: Omit<Parts, 'rules'>): ClusterRules {
  const { client, settings, log, events } = options
  const { registration, decisions, lastGood: lastGoodName } = settings
  const { rulesNamespace, rulesName } = registration
  return new ClusterRules({
    client,
    settings: decisions,
    log,
    rulesNamespace,
    rulesName,
    lastGoodName,
    isKeeper: true,
    onReport: rulesReporter({ log, events }),
  })
}

function dutiesOf(parts: Parts, spec: RegistrationSpec, watches: Watches): Duties {
  const { settings } = parts
  const { certSource, lives, secret: name } = settings
  const namespace = spec.installNamespace
  const hosts = [servernameOf(spec.target)]
  return new Duties({
    ...parts,
    registration: new Registration({ ...parts, spec }),
    certificates:
      certSource === 'helper' ? new Certificates({ ...parts, namespace, name, hosts, lives }) : undefined,
    endpoints: () => watches.endpoints(),
  })
}

function probingOf(parts: Parts, spec: RegistrationSpec, duties: Duties): Parameters<typeof keepProbing>[0] {
  const { settings } = parts
  const kind = 'MutatingWebhookConfiguration'
  const registration = () => {
    const { registered } = duties
    if (registered === undefined) return undefined
    const { since, uid } = registered
    return { since, subject: { apiVersion: `${REGISTRATION_GROUP}/v1`, kind, name: spec.name, uid } }
  }
  return {
    ...parts,
    registration,
    namespace: spec.installNamespace,
    name: settings.probe,
    intervalMs: settings.probeIntervalMs,
  }
}

type OnDuty = Pick<LeadOptions, 'log' | 'metrics' | 'clock' | 'onRound'> & { readonly signal: AbortSignal }

async function goOnDuty(duties: Duties, wake: Wake, options: OnDuty): Promise<void> {
  const { log, metrics, clock, onRound, signal } = options
  const backoff = new Backoff({ minMs: 200, maxMs: 10_000, random: Math.random })
  while (!signal.aborted) {
    let wait: number
    try {
      wait = await duties.round()
      backoff.reset()
      metrics.rounds.inc({ outcome: 'ok' })
      onRound(undefined)
    } catch (error) {
      if (signal.aborted) return
      const problem = messageOf(error)
      log.warn({ error: problem }, 'a round failed; trying again')
      metrics.rounds.inc({ outcome: 'error' })
      onRound(problem)
      wait = backoff.next()
    }
    await sleep(clock, duties.restraintMs, signal)
    await wake.wait(wait, signal)
  }
}

/** What an API server can do. */
interface Abilities {
  readonly hasMatchConditions: boolean
  readonly hasNamespaceNames: boolean
  readonly hasSlices: boolean
}

/** Undefined when the term has ended meanwhile. */
async function readAbilities(
  client: KubeClient,
  { log, clock, onRound }: LeadOptions,
  signal: AbortSignal,
): Promise<Abilities | undefined> {
  const backoff = new Backoff({ minMs: 200, maxMs: 10_000, random: Math.random })
  while (!signal.aborted) {
    try {
      return abilitiesOf(await client.request<unknown>({ method: 'GET', path: '/version' }))
    } catch (error) {
      if (signal.aborted) break
      log.warn({ error: messageOf(error) }, 'the version of the API server could not be read')
      onRound(messageOf(error))
      await sleep(clock, backoff.next(), signal)
    }
  }
  return undefined
}

function abilitiesOf(answer: unknown): Abilities {
  const version = parseVersion(answer)
  const has = (minor: number) => version !== undefined && isAtLeast(version, 1, minor)
  return {
    hasMatchConditions: has(28),
    hasNamespaceNames: has(21),
    // The one ability that is more common than its lack.
    hasSlices: version === undefined || has(SLICES_SINCE_MINOR),
  }
}

function specFor(
  wanted: HelperSettings['registration'],
  { hasMatchConditions, hasNamespaceNames }: Abilities,
  log: Logger,
): RegistrationSpec {
  if (hasNamespaceNames || wanted.failurePolicy === 'Ignore') return { ...wanted, hasMatchConditions }
  // Namespaces have no label with their name there, so kube-system would not be excluded.
  log.warn(
    {},
    'failurePolicy Fail needs Kubernetes 1.21, as no namespace can be excluded before: Ignore is used',
  )
  return { ...wanted, hasMatchConditions, failurePolicy: 'Ignore' }
}
