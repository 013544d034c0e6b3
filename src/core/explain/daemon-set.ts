/** What becomes of a DaemonSet: of its Pods as of any others, and what admission does with the DaemonSet itself. */
import { admitDaemonSet, type DaemonSetAdmission } from '../daemonset/admit.ts'
import { asRecord } from '../kubernetes/objects.ts'
import { ANNOTATION_FENCE } from '../names.ts'
import type { NamespaceFacts, RuledEnvironment } from '../policy/decide.ts'
import { type Addition, type Explanation, explainPod } from './explanation.ts'
import { NO_DAEMONS, type Whereabouts } from './whereabouts.ts'
import { type Workload, workloadOf } from './workload.ts'

/** One that a cluster has already is told as it is: nothing changes it until somebody changes its template. Throws as {@link explainPod}. */
export function explainDaemonSet(
  workload: Workload,
  namespace: NamespaceFacts,
  environment: RuledEnvironment,
): Explanation {
  const explanation = explainPod(workload.pod, namespace, environment)
  const { object } = workload
  const edit = { operation: 'CREATE', namespace: namespace.name, object, oldObject: undefined } as const
  const admission = admitDaemonSet(edit, environment)
  const { outcome, reason } = admission
  const fence = { outcome, reason }
  if (outcome === 'skipped')
    return { ...explanation, whereabouts: skippedWhereabouts(explanation, reason), fence }
  if (outcome !== 'patched') return { ...explanation, fence }
  const isStored = typeof asRecord(object.metadata)?.resourceVersion === 'string'
  if (isStored) return { ...explanation, whereabouts: storedWhereabouts(explanation, workload), fence: LATER }
  const fenced = workloadOf(admission.result.object, namespace.name)?.pod ?? workload.pod
  return {
    ...explainPod(fenced, namespace, environment),
    whereabouts: FENCED,
    added: additionsOf(admission),
    patch: admission.patch,
    result: fenced,
    fence,
  }
}

const LATER = {
  outcome: 'skipped',
  reason: 'it is in the cluster already; it is fenced with the next change of its template',
} as const

const FENCED: Whereabouts = {
  code: 'real',
  place: 'real nodes only',
  note: `It tolerates the VNodes' taint, and ${NO_DAEMONS}. Admission keeps it off them when it is created.`,
}

function skippedWhereabouts({ whereabouts }: Explanation, reason: string): Whereabouts {
  if (whereabouts.code !== 'every-node') return whereabouts
  const note = `It tolerates the VNodes' taint, and ${NO_DAEMONS}. Admission does not keep it off them: ${reason}.`
  return { ...whereabouts, note }
}

function storedWhereabouts({ whereabouts }: Explanation, { namespace, name }: Workload): Whereabouts {
  return {
    ...whereabouts,
    note: `It tolerates the VNodes' taint, and ${NO_DAEMONS}. Admission keeps it off them with the next change of its template; to do it now: vnode daemonsets fence ${namespace}/${name}`,
  }
}

function additionsOf({ result }: DaemonSetAdmission): Addition[] {
  const record = result.annotations.get(ANNOTATION_FENCE)
  const mark = { what: 'mark', text: `${ANNOTATION_FENCE}=${record}`, key: ANNOTATION_FENCE } as const
  return [
    { what: 'affinity', text: 'type NotIn [virtual-kubelet], in every term of the required node affinity' },
    ...(record === undefined ? [] : [mark]),
  ]
}
