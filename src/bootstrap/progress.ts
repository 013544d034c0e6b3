/** What somebody who waits gets to know, and the Events that stay. */
import { VnodeError } from '../core/errors.ts'
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

/** What is written down of a VNode, as far as a run has come. */
export interface Known {
  readonly uid: string
  readonly virtualNodeId: string | undefined
  readonly isSent: boolean
}

const NOTHING: Known = { uid: '', virtualNodeId: undefined, isSent: false }

/** Steps of a run, one after the other. */
export class Progress {
  readonly #options: ProgressOptions
  #known = NOTHING

  constructor(options: ProgressOptions) {
    this.#options = options
  }

  /** From now on it is told of this record. */
  follow(record: Known | undefined): void {
    this.#known = record ?? NOTHING
  }

  /** What a run ends with that somebody has stopped: it is no fault, and what is paid for goes on. */
  interrupted(): VnodeError {
    const { virtualNodeId, isSent } = this.#known
    const unsure = isSent ? '; a VNode was asked for, and may be paid for' : ''
    const what = virtualNodeId === undefined ? unsure : `; VNode ${virtualNodeId} is registered, and paid for`
    return new VnodeError('REFUSED', `interrupted${what}`, {
      next: 'Run the same again: it goes on where this has stopped, with the same request.',
    })
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
      involved: { apiVersion: 'v1', kind: 'Secret', ...involved, uid: this.#known.uid },
      type: isWarning ? 'Warning' : 'Normal',
      reason,
      message,
      key: message,
    })
  }
}
