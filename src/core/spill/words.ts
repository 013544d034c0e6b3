/** What is said of spills to people: the same sentence in an Event and by `vnode explain --live`. */
import type { Missed } from './missed.ts'
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

/** What is lost to a Pod that got a real node before anything could be added. */
export function lostOnNode(nodeName: string): string {
  return `it runs on the real node ${nodeName}`
}
