/** What became of one DaemonSet, for people and for programs. */
import type { DaemonSetFacts } from '../../core/daemonset/daemon-set.ts'
import { managerOf } from '../../core/daemonset/manager.ts'
import type { LeftCode } from '../../core/daemonset/plan.ts'
import { asRecord } from '../../core/kubernetes/objects.ts'
import { LABEL_FENCE } from '../../core/names.ts'
import type { DaemonSetChange, DaemonSetRef } from '../../kube/daemonsets.ts'
import { renderDiff } from '../explain/diff.ts'
import { renderManifest } from '../manifest.ts'
import { painter } from '../paint.ts'
import { plainText } from '../plain-text.ts'

export type Verb = 'fence' | 'unfence'

export interface ChangeContext {
  readonly ref: DaemonSetRef
  readonly verb: Verb
  readonly isDryRun: boolean
  readonly hasColor: boolean
}

export function changeText(change: DaemonSetChange, context: ChangeContext): string {
  const { ref, isDryRun, hasColor } = context
  const title = `DaemonSet ${ref.namespace}/${ref.name}`
  if (change.kind === 'absent') return `${title}: absent\n`
  if (change.kind === 'leave')
    return `${title}: left as it is: ${plainText(change.reason)}\n${nextOf(change.code, context)}`
  const { outcome, before, after } = change
  const diff = renderDiff(shown(before), shown(after), painter(hasColor))
  const done = outcome === 'opted-in' ? 'opted in' : outcome
  const said = isDryRun ? `would be ${done}; nothing was changed` : done
  const notes = change.notes.map(note => `${plainText(note)}\n`).join('')
  const warning = outcome === 'opted-in' ? '' : restartWarning(after, context)
  return `${title}: ${said}\n${diff}${warning}${notes}${managerNote(after)}\n`
}

/** Fields are only ever added to this shape. */
export function changeJson(change: DaemonSetChange, { ref, isDryRun }: ChangeContext): object {
  if (change.kind === 'absent') return { ...ref, outcome: 'absent', isDryRun }
  if (change.kind === 'leave') return { ...ref, outcome: change.code, reason: change.reason, isDryRun }
  const { outcome, patch, notes } = change
  return { ...ref, outcome, isDryRun, patch, notes }
}

function nextOf(code: LeftCode, { ref, verb }: ChangeContext): string {
  if (code === 'opted-out') return `To fence it all the same, and remove that label: --opt-in\n`
  if (code === 'not-ours' && verb === 'unfence')
    return `To keep admission from fencing it: kubectl -n ${ref.namespace} label daemonset ${ref.name} ${LABEL_FENCE}=off\n`
  return ''
}

/** Counted by the API server with every change of the template. */
const TEMPLATE_GENERATION = 'deprecated.daemonset.template.generation'

/** What people write, and what is ours; the status and the API server's own notes would only be in the way. */
function shown({ object, labels, annotations }: DaemonSetFacts): string {
  const metadata = Object.entries({ labels, annotations }).flatMap(([key, entries]) => {
    const list = [...entries].filter(([name]) => name !== TEMPLATE_GENERATION).sort()
    return list.length === 0 ? [] : [[key, Object.fromEntries(list)] as const]
  })
  const spec = asRecord(object.spec) ?? {}
  return renderManifest(metadata.length === 0 ? { spec } : { metadata: Object.fromEntries(metadata), spec })
}

function restartWarning({ object }: DaemonSetFacts, { ref, isDryRun }: ChangeContext): string {
  const strategy = asRecord(asRecord(object.spec)?.updateStrategy)
  if (strategy?.type === 'OnDelete')
    return 'Its Pods on real nodes stay as they are until somebody deletes them (updateStrategy OnDelete).\n'
  const { maxUnavailable = 1 } = asRecord(strategy?.rollingUpdate) ?? {}
  const pace = `at most ${String(maxUnavailable)} node${maxUnavailable === 1 ? '' : 's'} at a time`
  const warning = `WARNING: the Pod template ${isDryRun ? 'would change' : 'has changed'}, so this daemon ${isDryRun ? 'would restart' : 'restarts'} on every node, ${pace}.\n`
  const follow = `Follow it: kubectl -n ${ref.namespace} rollout status daemonset/${ref.name}\n`
  return isDryRun ? warning : `${warning}${follow}`
}

function managerNote(daemonSet: DaemonSetFacts): string {
  const manager = managerOf(daemonSet)
  if (manager === undefined || !manager.isWatching) return ''
  return `${plainText(manager.name)} manages it and may undo this: make the change there.\n`
}
