import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeReview, encodeReview } from '../src/core/admission/review.ts'
import { asRecord } from '../src/core/kubernetes/objects.ts'
import { mutatePod } from '../src/core/pod/mutate.ts'
import { DEFAULT_SETTINGS } from '../src/core/settings.ts'
import { RulesState } from '../src/rules/rules-state.ts'

/** What a 1.34 apiserver sent when a Deployment of a web service was created: default tolerations, token volume and all. */
export function readReview(): string {
  const text = readFileSync(join(import.meta.dirname, 'fixtures', 'pod-review.json'), 'utf8')
  return JSON.stringify(JSON.parse(text))
}

/** Our answer to the review under these ConfigMap rules, which is what the servers we compare with give to every request. */
export function answerTo(review: string, rules: string): string {
  const state = new RulesState({ settings: DEFAULT_SETTINGS })
  state.setConfigMap({ text: rules }, { kind: 'ConfigMap', label: 'benchmark' })
  state.flush()
  const request = decodeReview(JSON.parse(review))
  const namespace = { name: request.namespace, labels: state.labelsOfNamespace(request.namespace) }
  const { patch } = mutatePod(request.object, namespace, state.environment)
  if (patch.length === 0) throw new Error('the rules of the benchmark do not match its Pod')
  return encodeReview(request, { allowed: true, patch })
}

/** The patch in an answer, still in base64. */
export function patchIn(answer: string): string {
  const { response } = JSON.parse(answer) as { response: { allowed: boolean; patch?: string } }
  if (!response.allowed || response.patch === undefined)
    throw new Error(`not an answer with a patch: ${answer}`)
  return response.patch
}

interface Metadata {
  readonly generateName: string
  readonly labels: object
  readonly annotations: object
}

/** The Pod of the review as its ReplicaSet would create it: the apiserver adds the rest. */
export function podOf(review: string): { readonly metadata: Metadata; readonly spec: object } {
  const { request } = JSON.parse(review) as { request: { object: { metadata: Metadata; spec: object } } }
  const { metadata, spec } = request.object
  const { generateName, labels, annotations } = metadata
  const { containers, volumes, tolerations, serviceAccountName } = asRecord(spec) ?? {}
  return {
    metadata: { generateName, labels, annotations },
    spec: { containers, volumes, tolerations, serviceAccountName },
  }
}
