/** In what a configuration of the cluster differs from ours. */
import { isSameJson } from '../kubernetes/json.ts'
import { asArray, asRecord, asString, own } from '../kubernetes/objects.ts'
import { type Configuration, type Entry, entryName, LABELS } from './configuration.ts'

/**
 * The fields of an entry that decide what is called and when. One that is there although we do not name it is drift as well; a field that
 * only a newer Kubernetes knows is left alone, since nobody here could say what it should be.
 */
const FIELDS = [
  'rules',
  'failurePolicy',
  'matchPolicy',
  'namespaceSelector',
  'objectSelector',
  'sideEffects',
  'timeoutSeconds',
  'admissionReviewVersions',
  'matchConditions',
  'reinvocationPolicy',
] as const

/** One short sentence for each difference; empty when there is none. */
export function driftOf(wanted: Configuration, actual: unknown): readonly string[] {
  const found = entriesOf(actual)
  const wantedNames = new Set(wanted.webhooks.map(({ name }) => name))
  return [
    ...ownerDrift(wanted, actual),
    ...annotationDrift(wanted, actual),
    ...wanted.webhooks.flatMap(entry => entryDrift(entry, found.get(entry.name))),
    ...[...found.keys()].filter(name => !wantedNames.has(name)).map(name => `entry ${name} is not ours`),
  ]
}

/** Whether we have written it at some time: it has our labels, or the API server knows it as this manager's. */
export function isOurs(actual: unknown, ours: string): boolean {
  const labels = own(asRecord(own(asRecord(actual), 'metadata')), 'labels')
  const hasLabels = Object.entries(LABELS).every(([key, value]) => own(asRecord(labels), key) === value)
  return hasLabels || writesOf(actual).some(field => own(field, 'manager') === ours)
}

/** What the API server has noted of each who wrote the object. */
function writesOf(actual: unknown): readonly (Record<string, unknown> | undefined)[] {
  return asArray(own(asRecord(own(asRecord(actual), 'metadata')), 'managedFields')).map(asRecord)
}

/** Who besides this manager was the last to write the object, by the name that it gave the API server. */
export function editorOf(actual: unknown, ours: string): string | undefined {
  const fields = writesOf(actual)
  const others = fields.flatMap(field => {
    const [manager, time] = [asString(own(field, 'manager')), asString(own(field, 'time'))]
    return manager === undefined || manager === ours || time === undefined ? [] : [{ manager, time }]
  })
  return others.sort((one, other) => (one.time < other.time ? 1 : -1))[0]?.manager
}

/** The entries by name. */
export function entriesOf(actual: unknown): ReadonlyMap<string, Record<string, unknown>> {
  const entries = asArray(own(asRecord(actual), 'webhooks')).map(asRecord)
  return new Map(
    entries.flatMap(entry =>
      entry === undefined ? [] : [[asString(own(entry, 'name')) ?? '', entry] as const],
    ),
  )
}

/** The caBundle of an entry, as PEM; empty when there is none. */
export function bundleOf(entry: Record<string, unknown>): string {
  const text = asString(own(asRecord(own(entry, 'clientConfig')), 'caBundle')) ?? ''
  return Buffer.from(text, 'base64').toString('utf8')
}

/** Whether it says whom API servers shall trust when they ask about Pods. */
export function isTrusting(actual: unknown): boolean {
  const pods = entriesOf(actual).get(entryName('pods'))
  return pods !== undefined && bundleOf(pods) !== ''
}

/** The entries that we want, with whatever caBundle they have now where we do not give them one. */
export function mergeInjected(wanted: Configuration, actual: unknown): readonly Entry[] {
  const found = entriesOf(actual)
  return wanted.webhooks.map(entry => {
    const caBundle = own(asRecord(own(found.get(entry.name), 'clientConfig')), 'caBundle')
    if (caBundle === undefined || 'caBundle' in entry.clientConfig) return entry
    return { ...entry, clientConfig: { ...entry.clientConfig, caBundle } }
  })
}

function ownerDrift({ metadata }: Configuration, actual: unknown): string[] {
  const owners = asArray(own(asRecord(own(asRecord(actual), 'metadata')), 'ownerReferences')).map(asRecord)
  const has = (uid: unknown) => owners.some(owner => own(owner, 'uid') === uid)
  return metadata.ownerReferences.every(owner => has(own(asRecord(owner), 'uid')))
    ? []
    : ['it has lost its owner']
}

function annotationDrift({ metadata }: Configuration, actual: unknown): string[] {
  const found = asRecord(own(asRecord(own(asRecord(actual), 'metadata')), 'annotations'))
  return Object.entries(metadata.annotations).flatMap(([key, value]) =>
    own(found, key) === value ? [] : [`annotation ${key} is not ${value}`],
  )
}

function entryDrift(wanted: Entry, actual: Record<string, unknown> | undefined): string[] {
  const { name } = wanted
  if (actual === undefined) return [`entry ${name} is missing`]
  const differing = FIELDS.filter(field => !isSameJson(own(wanted, field), own(actual, field)))
  return [...clientDrift(wanted, actual), ...differing].map(field => `${field} of ${name} was changed`)
}

function clientDrift(wanted: Entry, actual: Record<string, unknown>): string[] {
  const { caBundle, ...reach } = asRecord(wanted.clientConfig) ?? {}
  const { caBundle: found, ...foundReach } = asRecord(own(actual, 'clientConfig')) ?? {}
  return [
    ...(isSameJson(reach, foundReach) ? [] : ['clientConfig']),
    ...(caBundle === undefined || caBundle === found ? [] : ['caBundle']),
  ]
}
