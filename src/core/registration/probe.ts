/**
 * The probe: a Pod of our own namespace that is created for show (dry run). The webhook marks it on a route of its own, so the mark proves
 * that API servers reach the webhook, trust it and apply its patch, without any rule that a Pod would have to match.
 */
import { asRecord, own } from '../kubernetes/objects.ts'
import { ANNOTATION_PROBE, LABEL_PROBE, PROBE_ANSWER } from '../names.ts'
import { entryName } from './configuration.ts'

const PROBE_ENTRY = entryName('probe')

export type ProbeOutcome =
  | 'ok'
  /** The Pod was admitted without the mark: the API server does not call us for it. */
  | 'missed'
  /** The API server called us, or tried to, and failed. */
  | 'failed'
  /** Something else kept the Pod from being admitted. */
  | 'refused'

export interface ProbeResult {
  readonly outcome: ProbeOutcome
  /** One sentence. */
  readonly reason: string
}

/**
 * Fits into the strictest namespace: Pod Security "restricted", quotas that want requests and limits. Stored by mistake, it would wait for
 * a node that there is not, and run nothing.
 */
export function renderProbe(namespace: string, name: string): object {
  const resources = { cpu: '10m', memory: '16Mi' }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { [LABEL_PROBE]: 'true' } },
    spec: {
      nodeSelector: { [LABEL_PROBE]: 'nowhere' },
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 65_534, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'probe',
          image: 'vnode-profile.invalid/probe:none',
          resources: { requests: resources, limits: resources },
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
        },
      ],
    },
  }
}

/** What the admitted Pod tells. */
export function judgeProbe(pod: unknown): ProbeResult {
  const annotations = asRecord(own(asRecord(own(asRecord(pod), 'metadata')), 'annotations'))
  return own(annotations, ANNOTATION_PROBE) === PROBE_ANSWER
    ? { outcome: 'ok', reason: 'the API server called the webhook, and applied its answer' }
    : {
        outcome: 'missed',
        reason: 'the probe was admitted, but the API server did not call the webhook for it',
      }
}

/** What the API server's refusal tells. */
export function judgeRefusal(message: string): ProbeResult {
  return { outcome: message.includes(`"${PROBE_ENTRY}"`) ? 'failed' : 'refused', reason: message }
}
