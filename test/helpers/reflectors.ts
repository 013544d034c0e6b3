import type { Test } from 'tap'
import { Reflector } from '../../src/kube/reflector.ts'
import type { ReflectorOptions } from '../../src/kube/reflector-options.ts'
import { FakeApi, makeClient } from './fake-api.ts'

/** What a reflector's callbacks were told, as short texts in order. */
export class Diary {
  readonly lines: string[] = []
  readonly #waiting: { readonly line: string; readonly resolve: () => void }[] = []

  add(line: string): void {
    this.lines.push(line)
    for (const waiter of this.#waiting) if (waiter.line === line) waiter.resolve()
  }

  /** Takes out the lines so far. */
  take(): string[] {
    return this.lines.splice(0)
  }

  /** The line is there, or comes within fifteen seconds: a real apiserver takes some to let go of a CRD. */
  async until(line: string): Promise<void> {
    if (this.lines.includes(line)) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(() => reject(new Error(`no "${line}" in: ${this.lines.join(', ')}`)), 15_000)
    this.#waiting.push({ line, resolve })
    await promise.finally(() => clearTimeout(timer))
  }
}

export type Kept = { readonly version: string }

export interface Scene {
  readonly api: FakeApi
  readonly diary: Diary
  readonly reflector: Reflector<Kept>
}

/** A started reflector of `/api/v1/things` with short waits, on a fake API, stopped with the test. */
export async function startScene(t: Test, options: Partial<ReflectorOptions<Kept>> = {}): Promise<Scene> {
  const api = await FakeApi.start(t)
  const diary = new Diary()
  const reflector = new Reflector<Kept>({
    client: makeClient(t, api),
    path: '/api/v1/things',
    keep: raw => ({ version: (raw as { metadata: { resourceVersion: string } }).metadata.resourceVersion }),
    onChange: ({ type, key, value }) => diary.add(`${type} ${key}@${value.version}`),
    onSynced: () => diary.add('synced'),
    onState: state => diary.add(`is ${state}`),
    onError: (error, during) => diary.add(`error in ${during}: ${error.message.replace(/^.*things: /, '')}`),
    ...options,
    timings: {
      absentRetryMs: 20,
      absentGraceMs: 0,
      minBackoffMs: 5,
      maxBackoffMs: 50,
      ...options.timings,
    },
  })
  t.teardown(() => reflector.stop())
  reflector.start()
  return { api, diary, reflector }
}
