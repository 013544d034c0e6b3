/** What is said of Pods that exist to people: the same sentence in an Event, in a warning and by `vnode explain --live`. */
import type { Conflicted, Missed } from './missed.ts'
import type { Held } from './verdict.ts'

export function heldWords({ rule, code, reason }: Pick<Held, 'rule' | 'code' | 'reason'>): string {
  return `rule ${rule.name} lets it go to a VNode, but not now (${code}): ${reason}`
}

export function spilledWords(rule: string): string {
  return `rule ${rule} lets it go to a VNode from now on: no real node can take it`
}

/** The webhook did not see the Pod of this name. */
export function missedWords({ rule, lost }: Pick<Missed, 'rule' | 'lost'>, podName: string): string {
  const what = `rule ${rule} is about Pod ${podName}, which was created without the webhook, or before the rule`
  return lost === undefined ? what : `${what}: ${lost}`
}

/** Of a rule's name, which may fill a warning by itself, so that the reason still has room. */
const LONGEST_NAME = 63

/** `what`: such as `this Pod`. */
export function conflictWords({ rule, reason }: Pick<Conflicted, 'rule' | 'reason'>, what: string): string {
  const name = rule.name.length > LONGEST_NAME ? `${rule.name.slice(0, LONGEST_NAME)}…` : rule.name
  return `rule ${JSON.stringify(name)} sends ${what} to a VNode, but it is left as it is: ${reason}`
}

/** What is lost to a Pod that got a real node before anything could be added. */
export function lostOnNode(nodeName: string): string {
  return `it runs on the real node ${nodeName}`
}
