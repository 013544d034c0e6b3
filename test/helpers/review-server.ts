import { createServer, request as httpsRequest } from 'node:https'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import { makePki } from './certificates.ts'
import type { KubeObject } from './kube-http.ts'
import type { Callee } from './registration.ts'

export interface AdmissionRequest {
  readonly uid: string
  readonly operation: string
  readonly subResource?: string
  readonly namespace?: string
  readonly name?: string
  readonly dryRun?: boolean
  readonly resource: { readonly resource: string }
  readonly object: KubeObject
}

export interface AdmissionResponse {
  readonly uid: string
  readonly allowed: boolean
  /** Base64. */
  readonly patch?: string
  readonly patchType?: string
  readonly warnings?: readonly string[]
}

export interface Review {
  readonly apiVersion: string
  readonly kind: string
  readonly request: AdmissionRequest
}

export interface ReviewAnswer {
  readonly apiVersion: string
  readonly kind: string
  readonly response: AdmissionResponse
}

/** What came in and what went out. */
export interface Exchange {
  readonly apiVersion: string
  readonly request: AdmissionRequest
  readonly answer: ReviewAnswer
}

/** A webhook of somebody else, or one that stands before ours and keeps what is said. */
export interface ReviewServer extends Callee {
  readonly exchanges: readonly Exchange[]
}

type Answerer = (review: Review, path: string) => ReviewAnswer | Promise<ReviewAnswer>

/** Starts a webhook that answers as it is told; it ends with the test. */
export async function startReviewServer(t: Test, answerer: Answerer): Promise<ReviewServer> {
  const { authority, leaf } = makePki()
  const exchanges: Exchange[] = []
  const server = createServer({ cert: leaf.certPem, key: leaf.keyPem }, async (request, response) => {
    try {
      const review = JSON.parse(await text(request)) as Review
      const answer = await answerer(review, request.url ?? '')
      exchanges.push({ apiVersion: review.apiVersion, request: review.request, answer })
      response.setHeader('content-type', 'application/json').end(JSON.stringify(answer))
    } catch (error) {
      response.writeHead(500).end(String(error))
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  return {
    url: `https://127.0.0.1:${port}`,
    caPem: authority.certPem,
    exchanges,
    reviews: resource => (resource === 'pods' ? exchanges.length : 0),
  }
}

/** Has another webhook answer. */
export function forwardTo({ url, caPem }: Callee): Answerer {
  return async (review, path) => {
    const { promise, resolve, reject } = Promise.withResolvers<ReviewAnswer>()
    const options = { method: 'POST', ca: caPem, headers: { 'content-type': 'application/json' } }
    const sent = httpsRequest(new URL(path, url), options, response => {
      text(response).then(body => resolve(JSON.parse(body) as ReviewAnswer), reject)
    })
    sent.on('error', reject)
    sent.end(JSON.stringify(review))
    return await promise
  }
}

export interface Operation {
  readonly op: string
  readonly path: string
  readonly value?: unknown
}

/** Answers that the object is allowed, once it is patched so. */
export function patchWith(operations: (object: KubeObject) => readonly Operation[]): Answerer {
  return ({ apiVersion, request }) => {
    const patch = operations(request.object)
    const patched = {
      patchType: 'JSONPatch',
      patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
    }
    return {
      apiVersion,
      kind: 'AdmissionReview',
      response: { uid: request.uid, allowed: true, ...(patch.length === 0 ? {} : patched) },
    }
  }
}

/** The operations of an answer; none where it has no patch. */
export function patchOf({ answer }: Exchange): readonly Operation[] {
  const { patch } = answer.response
  return patch === undefined ? [] : (JSON.parse(Buffer.from(patch, 'base64').toString()) as Operation[])
}
