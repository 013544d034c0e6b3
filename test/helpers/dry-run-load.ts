import { setTimeout as delay } from 'node:timers/promises'
import type { ControlPlane } from './control-plane.ts'
import type { KubeStatus } from './kube-http.ts'
import { makePod } from './pods.ts'

/** Pods that are created for show, one after the other, until it is stopped. */
export class DryRunLoad {
  created = 0
  readonly failures: string[] = []
  readonly #stopped = new AbortController()
  readonly #workers: Promise<void>[]

  /** @param perSecond of all workers together; a registration whose failurePolicy is Fail shows each call that fails */
  constructor(controlPlane: ControlPlane, namespace: string, { workers = 4, perSecond = 40 } = {}) {
    const path = `/api/v1/namespaces/${namespace}/pods?dryRun=All`
    const pause = (workers * 1000) / perSecond
    const work = async (): Promise<void> => {
      while (!this.#stopped.signal.aborted) {
        const name = `load-${this.created}`
        const answer = await controlPlane
          .request<KubeStatus>('POST', path, { body: makePod({ name, labels: { load: 'true' } }) })
          .catch((error: unknown) => ({ status: 0, body: { message: String(error) } }))
        if (answer.status === 201) this.created += 1
        else this.failures.push(`${new Date().toISOString()} ${answer.status} ${answer.body.message}`)
        await delay(pause)
      }
    }
    this.#workers = Array.from({ length: workers }, work)
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await Promise.all(this.#workers)
  }
}
