import type { Test } from 'tap'
import { type RunningApprover, startApprover } from '../../src/approver/run.ts'
import { approverAccess } from '../../src/core/csr/access.ts'
import { createLogger } from '../../src/telemetry/json-log.ts'
import { makeCertificateRequest, type RequestOptions, SOUND_USAGES } from './certificate-requests.ts'
import type { ControlPlane } from './control-plane.ts'
import type { KubeObject } from './kube-http.ts'
import { Samples } from './prometheus.ts'
import type { LogLine } from './webhook.ts'
import { holds } from './webhook.ts'
import { applyObject, grantAccess } from './webhook-rights.ts'

export const REQUESTS = '/apis/certificates.k8s.io/v1/certificatesigningrequests'
const CLIENT_SIGNER = 'kubernetes.io/kube-apiserver-client'
const RBAC = '/apis/rbac.authorization.k8s.io/v1'

export interface TestApproverOptions {
  readonly controlPlane: ControlPlane
  readonly commonNamePrefix?: string
  readonly recheckMs?: number
  /** In place of an identity of its own, which has the documented rights and none besides. */
  readonly kubeconfig?: string
}

/** Starts the real program in this process; it ends with the test. */
export async function startTestApprover(t: Test, options: TestApproverOptions): Promise<TestApprover> {
  const { controlPlane, commonNamePrefix = 'system:vnode:', recheckMs = 200 } = options
  const kubeconfig = options.kubeconfig ?? (await approverKubeconfig(controlPlane))
  const log: LogLine[] = []
  const running = await startApprover({
    settings: { commonNamePrefix },
    connect: async () => {
      const { connect } = await import('../../src/kube/client.ts')
      return await connect({ kubeconfig, userAgent: 'vnode-profile/0 (integration test)' })
    },
    host: '127.0.0.1',
    opsPort: 0,
    recheckMs,
    log: createLogger('debug', { write: text => void log.push(JSON.parse(text)) }),
  })
  const approver = new TestApprover(running, log)
  t.teardown(() => approver.stop())
  return approver
}

export async function approverKubeconfig(controlPlane: ControlPlane): Promise<string> {
  const user = 'vnode-approver'
  await grantAccess(controlPlane, user, approverAccess())
  return await controlPlane.kubeconfig({ user })
}

export class TestApprover {
  readonly opsUrl: string
  readonly log: readonly LogLine[]
  readonly #running: RunningApprover
  #stopped: Promise<void> | undefined

  constructor(running: RunningApprover, log: readonly LogLine[]) {
    this.#running = running
    this.log = log
    this.opsUrl = `http://127.0.0.1:${running.opsAddress.port}`
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#running.stop()
    return this.#stopped
  }

  async metrics(): Promise<Samples> {
    return new Samples(await (await fetch(`${this.opsUrl}/metrics`)).text())
  }
}

export interface Requester {
  readonly user: string
  readonly groups?: readonly string[]
}

export interface CsrOptions extends RequestOptions {
  readonly as: Requester
  readonly signerName?: string
  readonly usages?: readonly string[]
}

/** Creates a request as somebody who may create requests, and gives its name. */
export async function createCsr(controlPlane: ControlPlane, options: CsrOptions): Promise<string> {
  const { as, signerName = CLIENT_SIGNER, usages = SOUND_USAGES, ...request } = options
  const pem = makeCertificateRequest(request)
  const { metadata } = await controlPlane.ask('POST', REQUESTS, {
    body: {
      metadata: { generateName: 'csr-' },
      spec: { request: Buffer.from(pem).toString('base64'), signerName, usages },
    },
    as: { user: as.user, groups: [...(as.groups ?? []), 'system:authenticated'] },
  })
  return metadata.name
}

/** Lets a group create requests, and have them approved by the rights named here. */
export async function allowRequests(
  controlPlane: ControlPlane,
  group: string,
  rights: readonly object[] = [],
): Promise<void> {
  const name = `requests-${group.replaceAll(/[^a-z0-9-]/g, '-')}`
  const rules = [
    {
      apiGroups: ['certificates.k8s.io'],
      resources: ['certificatesigningrequests'],
      verbs: ['create', 'get', 'list', 'watch'],
    },
    ...rights,
  ]
  const apiVersion = 'rbac.authorization.k8s.io/v1'
  const apiGroup = 'rbac.authorization.k8s.io'
  await applyObject(controlPlane, `${RBAC}/clusterroles/${name}`, {
    apiVersion,
    kind: 'ClusterRole',
    metadata: { name },
    rules,
  })
  await applyObject(controlPlane, `${RBAC}/clusterrolebindings/${name}`, {
    apiVersion,
    kind: 'ClusterRoleBinding',
    metadata: { name },
    roleRef: { apiGroup, kind: 'ClusterRole', name },
    subjects: [{ apiGroup, kind: 'Group', name: group }],
  })
  await holds(() => mayRequest(controlPlane, group), 15_000)
}

/** The API server's authorizer learns of a new binding a moment later. */
async function mayRequest(controlPlane: ControlPlane, group: string): Promise<boolean> {
  const resourceAttributes = {
    group: 'certificates.k8s.io',
    resource: 'certificatesigningrequests',
    verb: 'create',
  }
  const body = { spec: { user: 'somebody', groups: [group], resourceAttributes } }
  const { status } = await controlPlane.ask('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
    body,
  })
  return status?.allowed === true
}

/** The right by which requests of this kind are approved, on VNodes' only or on all. */
export function rightTo(subresource: 'nodeclient' | 'selfnodeclient', names?: readonly string[]): object {
  return {
    apiGroups: ['certificates.k8s.io'],
    resources: [`certificatesigningrequests/${subresource}`],
    verbs: ['create'],
    ...(names === undefined ? {} : { resourceNames: names }),
  }
}

/** The certificate, in PEM, once there is one. */
export async function signed(controlPlane: ControlPlane, name: string): Promise<string> {
  const csr = await controlPlane.waitFor(
    `${REQUESTS}/${name}`,
    ({ status }) => status?.certificate !== undefined,
    {
      timeout: 60_000,
    },
  )
  return Buffer.from(String(csr.status?.certificate), 'base64').toString('utf8')
}

/** What was said of a request, once an Event says that it was left alone; it is left alone if it has no condition then. */
export async function leftAlone(controlPlane: ControlPlane, name: string): Promise<string> {
  const path = `/api/v1/namespaces/default/events?fieldSelector=involvedObject.name=${name}`
  const [event] = await controlPlane.waitForAll<KubeObject>(path, events => events.length > 0, {
    timeout: 60_000,
  })
  const csr = await controlPlane.ask('GET', `${REQUESTS}/${name}`)
  const { conditions, certificate } = csr.status ?? {}
  if (
    event?.reason !== 'VnodeCertificateNotApproved' ||
    conditions !== undefined ||
    certificate !== undefined
  )
    throw new Error(`not left alone: ${JSON.stringify({ event, status: csr.status })}`)
  return String(event.message)
}
