/** Events by which an autoscaler says that it makes a real node for a Pod: cluster-autoscaler's and Karpenter's. */
import { asRecord, asString } from '../kubernetes/objects.ts'

export const SCALE_UP_REASONS = ['TriggeredScaleUp', 'Nominated'] as const

export interface ScaleUp {
  /** The Pod's. */
  readonly uid: string
  /** When it was last said, in milliseconds of Unix time. */
  readonly atMs: number
}

/** Reads an Event of the API, of either API group; undefined if it is about no Pod, or says no time. */
export function scaleUpOf(raw: unknown): ScaleUp | undefined {
  const event = asRecord(raw)
  const involved = asRecord(event?.involvedObject)
  const uid = asString(involved?.uid) ?? ''
  if (involved?.kind !== 'Pod' || uid === '') return undefined
  const times = [event?.lastTimestamp, event?.eventTime, asRecord(event?.series)?.lastObservedTime].flatMap(
    timeOf,
  )
  // Some writers leave all of them out.
  const known = times.length > 0 ? times : timeOf(asRecord(event?.metadata)?.creationTimestamp)
  return known.length === 0 ? undefined : { uid, atMs: Math.max(...known) }
}

/** How long ago it was said; by a clock that is ahead of ours, just now. */
export function scaleUpAge(atMs: number | undefined, nowMs: number): number | undefined {
  return atMs === undefined ? undefined : Math.max(0, nowMs - atMs)
}

interface Said {
  /** By the clock of whoever said it. */
  readonly atMs: number
  /** Not after it was heard: a clock that is ahead of ours must not make it fresh for longer than it can be. */
  readonly boundedMs: number
}

/** By Pod, when an autoscaler last said that it makes a node for it. */
export class ScaleUps {
  readonly #said = new Map<string, Said>()

  hear({ uid, atMs }: ScaleUp, nowMs: number): void {
    if ((this.#said.get(uid)?.atMs ?? Number.NEGATIVE_INFINITY) >= atMs) return
    this.#said.set(uid, { atMs, boundedMs: Math.min(atMs, nowMs) })
  }

  /** Events are removed after an hour: by then what they said is old, but another one may have said it again since. */
  forget({ uid, atMs }: ScaleUp): void {
    if ((this.#said.get(uid)?.atMs ?? Number.NEGATIVE_INFINITY) <= atMs) this.#said.delete(uid)
  }

  ageOf(uid: string, nowMs: number): number | undefined {
    return scaleUpAge(this.#said.get(uid)?.boundedMs, nowMs)
  }
}

function timeOf(text: unknown): number[] {
  const time = Date.parse(asString(text) ?? '')
  return Number.isNaN(time) ? [] : [time]
}
