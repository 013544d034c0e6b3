/**
 * What was asked of ECI from this machine, and what came of it: one file for each VNode beside the file of contexts, readable by its owner
 * alone. It has the whole request, kubeconfig included, for as long as nobody knows whether it was executed.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Intent, RecordStore, Registered, StoredRecord } from '../../bootstrap/record.ts'
import { messageOf, VnodeError } from '../../core/errors.ts'
import { asRecord, asString, own } from '../../core/kubernetes/objects.ts'

interface Content {
  readonly regionId: string
  readonly name: string
  readonly intent?: Intent
  readonly sentAt?: string
  readonly virtualNodeId?: string
  readonly requestId?: string
  readonly recordedAt?: string
}

/** A {@link RecordStore} for whoever holds the lock of {@link withLock}: nobody else writes the file meanwhile. */
export class LocalRecord implements RecordStore {
  readonly #file: string

  constructor(file: string) {
    this.#file = file
  }

  async read(): Promise<StoredRecord | undefined> {
    const content = await this.#content()
    if (content === undefined) return undefined
    const { intent, sentAt, virtualNodeId, recordedAt, regionId, name } = content
    return {
      uid: this.#file,
      resourceVersion: '',
      intent,
      isSent: sentAt !== undefined,
      virtualNodeId,
      recordedAt: recordedAt === undefined ? undefined : Date.parse(recordedAt),
      regionId,
      name,
    }
  }

  /** Of the call that created the VNode; empty where that is not known. */
  async requestId(): Promise<string> {
    return (await this.#content())?.requestId ?? ''
  }

  async intend(intent: Intent): Promise<boolean> {
    const { regionId, virtualNodeName: name = '' } = intent.request
    await this.#write({ regionId, name, intent })
    return true
  }

  async markSent(): Promise<boolean> {
    const content = await this.#content()
    if (content === undefined) return false
    await this.#write({ ...content, sentAt: new Date().toISOString() })
    return true
  }

  /** The request goes, and with it the kubeconfig. */
  async register(_: StoredRecord | undefined, registered: Registered): Promise<boolean> {
    const { virtualNodeId, regionId, name, requestId } = registered
    await this.#write({ regionId, name, virtualNodeId, requestId, recordedAt: new Date().toISOString() })
    return true
  }

  async end(): Promise<boolean> {
    await rm(this.#file, { force: true })
    return true
  }

  async #content(): Promise<Content | undefined> {
    const text = await readFile(this.#file, 'utf8').catch(error => {
      if (isCode(error, 'ENOENT')) return undefined
      throw error
    })
    return text === undefined ? undefined : this.#parse(text)
  }

  #parse(text: string): Content {
    try {
      const content = asRecord(JSON.parse(text))
      const isWhole = ['regionId', 'name'].every(key => asString(own(content, key)) !== undefined)
      if (isWhole) return content as unknown as Content
    } catch {
      // Not quoted: it may have a kubeconfig.
    }
    throw new VnodeError('BAD_FILE', `${this.#file} is none that vnode has written`, {
      next: 'If vnode list shows no VNode of this cluster, remove that file.',
    })
  }

  /** In one step: whoever is killed leaves the old text or the new one. */
  async #write(content: Content): Promise<void> {
    const temporary = `${this.#file}.${randomUUID()}.tmp`
    try {
      const handle = await open(temporary, 'wx', 0o600)
      try {
        await handle.writeFile(JSON.stringify(content))
        await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(temporary, this.#file)
    } catch (error) {
      await rm(temporary, { force: true })
      throw new VnodeError('BAD_FILE', `${this.#file} cannot be written: ${messageOf(error)}`, {
        next: 'Nothing was sent. What is asked of ECI is written down first, so that it is asked once.',
      })
    }
  }
}

/** Runs while no other process of this machine does the same for this file. */
export async function withLock<T>(file: string, run: () => Promise<T>): Promise<T> {
  const lock = `${file}.lock`
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await take(lock)
  try {
    return await run()
  } finally {
    await rm(lock, { force: true })
  }
}

async function take(lock: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const handle = await open(lock, 'wx', 0o600)
      await handle.writeFile(String(process.pid))
      await handle.close()
      return
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error
      const holder = Number(await readFile(lock, 'utf8').catch(() => ''))
      if (attempt > 2 || isRunning(holder)) throw busy(lock, holder)
      // Whoever held it was killed.
      await rm(lock, { force: true })
    }
  }
}

function busy(lock: string, holder: number): VnodeError {
  return new VnodeError(
    'REFUSED',
    `another vnode create (process ${holder || 'unknown'}) is at work on this VNode`,
    {
      next: `Wait for it. If there is no such process, remove ${lock}.`,
    },
  )
}

function isRunning(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return isCode(error, 'EPERM')
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
