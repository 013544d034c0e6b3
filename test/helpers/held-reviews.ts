/** Holds a write back inside the API server, as a slow network would: a webhook that answers when the test says so. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { makePki } from './certificates.ts'

const CONFIGURATIONS = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations'

interface ReviewRequest {
  readonly uid: string
  readonly dryRun?: boolean
  readonly userInfo: { readonly extra?: Readonly<Record<string, readonly string[]>> }
}

interface Review {
  readonly apiVersion: string
  readonly kind: string
  readonly request: ReviewRequest
}

export interface HeldReview {
  readonly request: ReviewRequest
  release(): void
}

export interface HoldOptions {
  /** Of the configuration, which ends with the test. */
  readonly name: string
  /** Updates of which resource of the core group. */
  readonly resource: string
  /** Which of them: matchConditions, say, or an objectSelector. */
  readonly which: object
  readonly apply: (path: string, object: object) => Promise<unknown>
  readonly remove: (path: string) => Promise<unknown>
}

export class HeldReviews {
  readonly #server: Server
  #count = 0
  #onWrite: ((write: HeldReview) => void) | undefined

  private constructor(server: Server) {
    this.#server = server
  }

  /** The API server has to be on this machine. It asks a moment later; {@link HeldReviews.count} tells. */
  static async start(t: Test, options: HoldOptions): Promise<HeldReviews> {
    const { authority, leaf } = makePki()
    const server = createServer({ key: leaf.keyPem, cert: leaf.certPem })
    const held = new HeldReviews(server)
    server.on('request', (request, response) => {
      let text = ''
      request.setEncoding('utf8').on('data', chunk => {
        text += chunk
      })
      request.on('end', () => held.#receive(JSON.parse(text) as Review, answer => response.end(answer)))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const path = `${CONFIGURATIONS}/${options.name}`
    t.teardown(async () => {
      await options.remove(path)
      server.close()
      server.closeAllConnections()
    })
    await options.apply(path, held.#configuration(options, authority.certPem))
    return held
  }

  /** So many writes have come by, dry runs included. */
  get count(): number {
    return this.#count
  }

  /** The next one that is more than a dry run. All others go through. */
  next(): Promise<HeldReview> {
    return new Promise(resolve => {
      this.#onWrite = write => {
        this.#onWrite = undefined
        resolve(write)
      }
    })
  }

  #receive({ apiVersion, kind, request }: Review, answer: (text: string) => void): void {
    this.#count += 1
    const { uid, dryRun = false } = request
    const release = () => answer(JSON.stringify({ apiVersion, kind, response: { uid, allowed: true } }))
    if (dryRun || this.#onWrite === undefined) release()
    else this.#onWrite({ request, release })
  }

  #configuration({ name, resource, which }: HoldOptions, ca: string): object {
    const { port } = this.#server.address() as AddressInfo
    return {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name },
      webhooks: [
        {
          name: `${name}.example.com`,
          clientConfig: { url: `https://127.0.0.1:${port}/`, caBundle: Buffer.from(ca).toString('base64') },
          rules: [{ apiGroups: [''], apiVersions: ['v1'], resources: [resource], operations: ['UPDATE'] }],
          ...which,
          sideEffects: 'None',
          admissionReviewVersions: ['v1'],
          failurePolicy: 'Ignore',
          timeoutSeconds: 30,
        },
      ],
    }
  }
}
