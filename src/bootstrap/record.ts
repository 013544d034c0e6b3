/**
 * The Secret that says what was asked of ECI, and what came of it. Every write is a server-side apply without force, under a manager of
 * its own: where somebody else has written another value, it fails with 409, and what he wrote stands.
 */
import { VnodeError } from '../core/errors.ts'
import { asRecord, asString, own } from '../core/kubernetes/objects.ts'
import { FIELD_MANAGER } from '../core/names.ts'
import { type IdentityKind, recordSecret } from '../core/vnode/identity.ts'
import type { Caller, Recorded } from '../core/vnode/registration.ts'
import type { CreateVirtualNodeRequest } from '../eci/virtual-node.ts'
import { isStatus, type KubeClient } from '../kube/api.ts'
import { resourcePath } from '../kube/path.ts'

export interface BootstrapToken {
  readonly id: string
  readonly secret: string
}

/** What is sent, byte for byte, until there is an answer. */
export interface Intent {
  readonly request: CreateVirtualNodeRequest
  readonly fingerprint: string
  readonly caller?: Caller
  readonly identity: IdentityKind
  /** Of kind `tls-bootstrap`. */
  readonly bootstrapToken?: BootstrapToken
}

export interface StoredRecord extends Recorded {
  /** When it was marked as sent, in milliseconds since 1970. */
  readonly sentAt: number | undefined
  readonly uid: string
  readonly resourceVersion: string
  readonly intent: Intent | undefined
}

export interface Registered {
  readonly virtualNodeId: string
  readonly nodeName: string
  readonly regionId: string
  readonly name: string
  /** Of the call that created it; empty where it was found. */
  readonly requestId: string
}

export interface RecordStore {
  /** Undefined where there is none. */
  read(): Promise<StoredRecord | undefined>
  /** False where another intent stands. */
  intend(intent: Intent): Promise<boolean>
  /** From now on it may have been sent, or sent again. The record as it is then; undefined where it has changed since it was read. */
  markSent(record: StoredRecord): Promise<StoredRecord | undefined>
  /** Into the record, or into a new one where there is none. False where it says something else by now. */
  register(record: StoredRecord | undefined, registered: Registered): Promise<boolean>
  /** Removes the record. False where it has changed since it was read. */
  end(record: StoredRecord): Promise<boolean>
}

export interface SecretRecordOptions {
  readonly client: Pick<KubeClient, 'request' | 'apply'>
  readonly namespace: string
  readonly name: string
  /** Of this run, and of no other. */
  readonly attempt: string
  readonly now: () => Date
}

const MANAGER = `${FIELD_MANAGER}-bootstrap`

export class SecretRecord implements RecordStore {
  readonly #options: SecretRecordOptions
  readonly #path: string

  constructor(options: SecretRecordOptions) {
    this.#options = options
    const { namespace, name } = options
    this.#path = resourcePath({ version: 'v1', plural: 'secrets', namespace, name })
  }

  async read(): Promise<StoredRecord | undefined> {
    try {
      const secret = await this.#options.client.request<unknown>({ method: 'GET', path: this.#path })
      return parseRecord(secret, this.#options)
    } catch (error) {
      if (isStatus(error, 404)) return undefined
      throw error
    }
  }

  async intend(intent: Intent): Promise<boolean> {
    return (await this.#write('intent', { intent: JSON.stringify(intent) })) !== undefined
  }

  /** With force, as another run may have written an earlier time; the version holds that against all else. */
  async markSent({ uid, resourceVersion }: StoredRecord): Promise<StoredRecord | undefined> {
    const data = { sentAt: this.#now() }
    const secret = await this.#write('sent', data, { held: { uid, resourceVersion }, force: true })
    return secret === undefined ? undefined : parseRecord(secret, this.#options)
  }

  async register(record: StoredRecord | undefined, registered: Registered): Promise<boolean> {
    const { virtualNodeId, nodeName, regionId, name, requestId } = registered
    const data = { virtualNodeId, nodeName, regionId, name, recordedAt: this.#now() }
    const written = await this.#write('result', requestId === '' ? data : { ...data, requestId }, {
      held: record === undefined ? {} : { uid: record.uid },
    })
    return written !== undefined
  }

  async end({ uid, resourceVersion }: StoredRecord): Promise<boolean> {
    const { client } = this.#options
    const body = { preconditions: { uid, resourceVersion } }
    const removed = client.request<unknown>({ method: 'DELETE', path: this.#path, body })
    return (await this.#unlessChanged(removed)) !== undefined
  }

  #now(): string {
    return this.#options.now().toISOString()
  }

  /** What a manager does not name any more is removed, so each kind of write has its own. */
  #write(
    what: string,
    data: Readonly<Record<string, string>>,
    { held = {}, force = false }: WriteOptions = {},
  ): Promise<unknown> {
    const { client, namespace, name, attempt } = this.#options
    const fieldManager = `${MANAGER}-${what}-${attempt}`
    const secret = recordSecret(namespace, name, data, held)
    return this.#unlessChanged(client.apply<unknown>(this.#path, secret, { fieldManager, force }))
  }

  /** The answer; undefined with 409 (another value, another uid, or another version) and with 404 (gone). */
  async #unlessChanged(written: Promise<unknown>): Promise<unknown> {
    try {
      return (await written) ?? null
    } catch (error) {
      if (isStatus(error, 409) || isStatus(error, 404)) return undefined
      throw error
    }
  }
}

interface WriteOptions {
  /** What the record must be still. */
  readonly held?: { readonly uid?: string; readonly resourceVersion?: string }
  readonly force?: boolean
}

function parseRecord(secret: unknown, { namespace, name }: SecretRecordOptions): StoredRecord {
  const metadata = asRecord(own(asRecord(secret), 'metadata'))
  const data = asRecord(own(asRecord(secret), 'data'))
  const text = (key: string) => {
    const value = asString(own(data, key))
    return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8')
  }
  const intent = parseIntent(text('intent'))
  const virtualNodeId = text('virtualNodeId')
  const regionId = text('regionId') ?? intent?.request.regionId
  const vnodeName = text('name') ?? intent?.request.virtualNodeName
  if (regionId === undefined || vnodeName === undefined || intent === null)
    throw new VnodeError(
      'BAD_SETTINGS',
      `Secret ${namespace}/${name} is none that this program has written`,
      {
        next: 'If no VNode of this cluster is listed by vnode list, delete the Secret; else restore it from a backup.',
      },
    )
  const timeOf = (key: string) => {
    const time = Date.parse(text(key) ?? '')
    return Number.isNaN(time) ? undefined : time
  }
  return {
    uid: asString(own(metadata, 'uid')) ?? '',
    resourceVersion: asString(own(metadata, 'resourceVersion')) ?? '',
    intent,
    isSent: text('sentAt') !== undefined,
    virtualNodeId,
    sentAt: timeOf('sentAt'),
    recordedAt: timeOf('recordedAt'),
    regionId,
    name: vnodeName,
  }
}

/** Undefined where there is none, null where it cannot be read. */
function parseIntent(text: string | undefined): Intent | undefined | null {
  if (text === undefined) return undefined
  try {
    const intent = asRecord(JSON.parse(text))
    const request = asRecord(own(intent, 'request'))
    const isWhole = ['clientToken', 'regionId', 'virtualNodeName', 'kubeConfig'].every(
      key => asString(own(request, key)) !== undefined,
    )
    return isWhole && asString(own(intent, 'fingerprint')) !== undefined
      ? (intent as unknown as Intent)
      : null
  } catch {
    return null
  }
}
