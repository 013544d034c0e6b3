/** The two patches of a Pod's life: one that opens the VNodes to it, and one once it is bound to a VNode. */

import { ANNOTATION_POLICY, OWN_PREFIX } from '../names.ts'
import { type Additions, additionsForSpill, additionsOnVnode, isEmptyAdditions } from '../pod/additions.ts'
import type { PodFacts } from '../pod/facts.ts'
import { type Found, settle } from '../pod/mutate.ts'
import { type AddOperation, renderPatch } from '../pod/patch.ts'
import { checkPatch } from '../pod/patch-check.ts'
import { decide, type NamespaceFacts, type Placed, type RuledEnvironment } from '../policy/decide.ts'
import type { Settings } from '../settings.ts'

/**
 * Sets the version that the decision was made on to itself: the API server answers 409 if the Pod is another one by now. A failing `test`
 * would be a 422, which is also what it says of a Pod that it does not want.
 */
export interface Precondition {
  readonly op: 'replace'
  readonly path: '/metadata/resourceVersion'
  readonly value: string
}

export type PodPatch = readonly [Precondition, ...AddOperation[]]

/** A Pod as far as a patch needs it; `facts.object` must have the members of the real one, where a patch reaches. */
export interface Patched {
  readonly resourceVersion: string
  readonly facts: PodFacts
  /** The webhook did not see it, and it got here what could still be added: see missedOf. */
  readonly isMended?: boolean
}

/** Opens the VNodes to a Pod without a node. Throws a VnodeError where the result would not be accepted. */
export function spillPatch(
  { facts, resourceVersion }: Patched,
  placed: Placed,
  settings: Settings,
): PodPatch {
  return checked(
    facts,
    resourceVersion,
    renderPatch(facts.object, additionsForSpill(placed, facts, settings)),
  )
}

/**
 * What a Pod that is bound to a VNode is still to get; undefined where that is nothing. Labels that it adds can make another rule match, as
 * at creation. Throws a VnodeError where the result would not be accepted.
 */
export function patchOnVnode(
  { facts, resourceVersion, isMended = false }: Patched,
  namespace: NamespaceFacts,
  environment: RuledEnvironment,
): PodPatch | undefined {
  const isMissed = isMended || !facts.annotations.has(ANNOTATION_POLICY)
  const { patch } = settle(facts.object, pod => stepOnVnode(pod, namespace, { environment, isMissed }))
  return patch.length === 0 ? undefined : checked(facts, resourceVersion, patch)
}

interface Looking {
  readonly environment: RuledEnvironment
  readonly isMissed: boolean
}

function stepOnVnode(pod: PodFacts, namespace: NamespaceFacts, { environment, isMissed }: Looking): Found {
  const decision = decide(pod, namespace, environment)
  const nothing = { decision, advice: [], patch: [] }
  if (decision.outcome !== 'placed' || !waitsForVnode(decision, isMissed)) return nothing
  const additions = additionsOnVnode(decision, pod, environment.settings)
  if (!isWorthwhile(additions)) return nothing
  return { decision, advice: [], additions, patch: renderPatch(pod.object, additions) }
}

/** Under virtualNodeOnly all was added at creation, unless the webhook did not see the Pod. */
function waitsForVnode({ policy }: Placed, isMissed: boolean): boolean {
  if (policy?.kind === 'virtualNodeOnly') return isMissed
  return policy?.kind === 'fair' || policy?.kind === 'normalNodePrefer'
}

/** More than marks that say the same as before in the words of today's rules. */
function isWorthwhile(additions: Additions): boolean {
  const { annotations, ...others } = additions
  return !isEmptyAdditions({
    ...others,
    annotations: new Map([...annotations].filter(([key]) => !key.startsWith(OWN_PREFIX))),
  })
}

/** With the precondition before it. Throws a VnodeError where the result would not be accepted. */
export function checked(facts: PodFacts, resourceVersion: string, patch: readonly AddOperation[]): PodPatch {
  checkPatch(facts.object, patch)
  return [{ op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion }, ...patch]
}
