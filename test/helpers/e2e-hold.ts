/** Holds a write of the helper's back inside the API server, as a slow network would: a webhook that answers when the test says so. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { makePki } from './certificates.ts'
import { type E2e, SYSTEM } from './e2e.ts'
import { NAMES } from './e2e-helper.ts'

const CONFIGURATION =
  '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/vnode-e2e-held-writes'
const ACCOUNT = `system:serviceaccount:${SYSTEM}:${NAMES.owner}`
const POD_NAME = 'authentication.kubernetes.io/pod-name'

interface Review {
  readonly apiVersion: string
  readonly kind: string
  readonly request: {
    readonly uid: string
    readonly dryRun?: boolean
    readonly userInfo: { readonly extra?: { readonly [POD_NAME]?: readonly string[] } }
  }
}

export interface HeldWrite {
  /** Whose it is. */
  readonly podName: string
  release(): void
}

export class HeldWrites {
  readonly #server: Server
  #reviews = 0
  #onWrite: ((write: HeldWrite) => void) | undefined

  private constructor(server: Server) {
    this.#server = server
  }

  /** From when this resolves on, every write of the helper's Secret by a helper comes by. The API server has to be on this machine. */
  static async start(t: Test, e2e: E2e): Promise<HeldWrites> {
    const { authority, leaf } = makePki()
    const server = createServer({ key: leaf.keyPem, cert: leaf.certPem })
    const held = new HeldWrites(server)
    server.on('request', (request, response) => {
      let text = ''
      request.setEncoding('utf8').on('data', chunk => {
        text += chunk
      })
      request.on('end', () => held.#receive(JSON.parse(text) as Review, answer => response.end(answer)))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => held.#stop(e2e))
    await e2e.kube.apply(CONFIGURATION, held.#configuration(authority.certPem))
    const seen = () => e2e.kubectl(...DRY_WRITE).then(() => (held.#reviews > 0 ? true : undefined))
    await e2e.waitFor('writes of the Secret come by', seen)
    return held
  }

  /** The next one that is more than a dry run. All others go through. */
  next(): Promise<HeldWrite> {
    return new Promise(resolve => {
      this.#onWrite = write => {
        this.#onWrite = undefined
        resolve(write)
      }
    })
  }

  #receive({ apiVersion, kind, request }: Review, answer: (text: string) => void): void {
    this.#reviews += 1
    const { uid, dryRun = false, userInfo } = request
    const release = () => answer(JSON.stringify({ apiVersion, kind, response: { uid, allowed: true } }))
    const [podName = ''] = userInfo.extra?.[POD_NAME] ?? []
    if (dryRun || this.#onWrite === undefined) release()
    else this.#onWrite({ podName, release })
  }

  #configuration(ca: string): object {
    const { port } = this.#server.address() as AddressInfo
    return {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: CONFIGURATION.split('/').at(-1) },
      webhooks: [
        {
          name: 'held-writes.vnode-e2e.example.com',
          clientConfig: { url: `https://127.0.0.1:${port}/`, caBundle: Buffer.from(ca).toString('base64') },
          rules: [{ apiGroups: [''], apiVersions: ['v1'], resources: ['secrets'], operations: ['UPDATE'] }],
          matchConditions: [
            {
              name: 'of-the-helper',
              expression: `request.userInfo.username == '${ACCOUNT}' && request.name == '${NAMES.secret}'`,
            },
          ],
          sideEffects: 'None',
          admissionReviewVersions: ['v1'],
          failurePolicy: 'Ignore',
          timeoutSeconds: 30,
        },
      ],
    }
  }

  async #stop(e2e: E2e): Promise<void> {
    await e2e.remove(CONFIGURATION)
    this.#server.close()
    this.#server.closeAllConnections()
  }
}

const DRY_WRITE = [
  'patch',
  'secret',
  NAMES.secret,
  `--as=${ACCOUNT}`,
  '--dry-run=server',
  '--type=merge',
  '--patch={"metadata":{"labels":{"vnode-e2e":"try"}}}',
]
