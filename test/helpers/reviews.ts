import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { patience } from './patience.ts'
import type { Pod } from './pods.ts'

/** Where a webhook answers, and whom to trust there. */
export interface Webhook {
  readonly url: string
  readonly caPem: string
}

export interface Answer {
  readonly uid: string
  readonly allowed: boolean
  readonly warnings?: readonly string[]
  readonly message?: string
  readonly patch: readonly { readonly op: string; readonly path: string; readonly value: unknown }[]
}

/** The review that an apiserver sends for a Pod that is to be created. */
export function podReview(pod: Pod, namespace = 'default'): object {
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: randomUUID(),
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      operation: 'CREATE',
      namespace,
      name: pod.metadata.name ?? '',
      userInfo: { username: 'test' },
      dryRun: false,
      object: pod,
      oldObject: null,
    },
  }
}

/** Sends a review over HTTPS as an apiserver does, for when there is no apiserver to send it. */
export async function sendReview({ url, caPem }: Webhook, path: string, review: object): Promise<Answer> {
  const text = JSON.stringify(review)
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
  const signal = AbortSignal.timeout(patience(5000))
  const sent = request(new URL(path, url), { method: 'POST', ca: caPem, agent: false, headers, signal })
  sent.end(text)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  let body = ''
  for await (const chunk of response.setEncoding('utf8')) body += chunk
  if (response.statusCode !== 200) throw new Error(`${path}: ${response.statusCode} ${body}`)
  const { uid, allowed, warnings, status, patch } = JSON.parse(body).response
  return {
    uid,
    allowed,
    ...(warnings === undefined ? {} : { warnings }),
    ...(status === undefined ? {} : { message: status.message }),
    patch: patch === undefined ? [] : JSON.parse(Buffer.from(patch, 'base64').toString()),
  }
}

/** Whether the answer sends the Pod to a VNode. */
export function isSent({ patch }: Answer): boolean {
  return patch.some(({ path }) => path.startsWith('/spec/nodeSelector'))
}
