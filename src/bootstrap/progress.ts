/** What somebody who waits gets to know, and the Events that stay. */
import type { EventWriter } from '../kube/event.ts'

export interface Notice {
  /** CamelCase, also the Event's reason. */
  readonly reason: string
  /** A sentence without its full stop. Never has anything of a credential. */
  readonly message: string
  readonly isWarning?: boolean
  /** Of interest to whoever looks for a fault only. */
  readonly isDetail?: boolean
}

export interface ProgressOptions {
  readonly say: (notice: Notice) => void
  /** Undefined where nothing shall be written: in a dry run. */
  readonly events: Pick<EventWriter, 'emit'> | undefined
  readonly involved: { readonly namespace: string; readonly name: string }
}

/** Steps of a run, one after the other. */
export class Progress {
  readonly #options: ProgressOptions
  /** Of the record, once it is there. */
  uid = ''

  constructor(options: ProgressOptions) {
    this.#options = options
  }

  /** For whoever watches now. */
  say(reason: string, message: string): void {
    this.#options.say({ reason, message })
  }

  detail(reason: string, message: string): void {
    this.#options.say({ reason, message, isDetail: true })
  }

  /** For whoever looks later, too. */
  tell(notice: Notice): void {
    const { say, events, involved } = this.#options
    say(notice)
    const { reason, message, isWarning = false } = notice
    events?.emit({
      involved: { apiVersion: 'v1', kind: 'Secret', ...involved, uid: this.uid },
      type: isWarning ? 'Warning' : 'Normal',
      reason,
      message,
      key: message,
    })
  }
}
