import { isStatus, type KubeClient } from './api.ts'
import { resourcePath } from './path.ts'

/** An Event as it is sent; its name makes it the same wherever it is written. */
export interface EventObject {
  readonly metadata: { readonly name: string; readonly namespace: string }
  readonly [field: string]: unknown
}

/** Puts Events into the cluster: by server-side apply, and where the API server is older than that (1.16), by what it has. */
export class EventStore {
  readonly #client: Pick<KubeClient, 'apply' | 'request'>
  #lacksApply = false

  constructor(client: Pick<KubeClient, 'apply' | 'request'>) {
    this.#client = client
  }

  async put(event: EventObject, signal: AbortSignal): Promise<void> {
    if (!this.#lacksApply) {
      try {
        // No other writer has a claim on our Events, so a conflict is never right.
        await this.#client.apply(pathOf(event), event, { force: true, signal })
        return
      } catch (error) {
        if (!isStatus(error, 415)) throw error
        this.#lacksApply = true
      }
    }
    await this.#putByHand(event, signal)
  }

  async #putByHand(event: EventObject, signal: AbortSignal): Promise<void> {
    const { namespace } = event.metadata
    const path = resourcePath({ version: 'v1', plural: 'events', namespace })
    try {
      await this.#client.request({ method: 'POST', path, body: event, signal })
    } catch (error) {
      if (!isStatus(error, 409)) throw error
      const contentType = 'application/merge-patch+json'
      // Another replica made it. Its first time is the older one.
      const { firstTimestamp: _, ...body } = event
      await this.#client.request({ method: 'PATCH', path: pathOf(event), body, contentType, signal })
    }
  }
}

function pathOf({ metadata: { namespace, name } }: EventObject): string {
  return resourcePath({ version: 'v1', plural: 'events', namespace, name })
}
