/** Looks at certificate signing requests one after the other, and approves those that are VNodes'. */

import { accessReviewOf, approvalOf } from '../core/csr/access-review.ts'
import {
  type DecisionSettings,
  decide,
  type Permission,
  type Refusal,
  type SigningRequest,
  unauthorised,
} from '../core/csr/decision.ts'
import { messageOf } from '../core/errors.ts'
import { asRecord, own } from '../core/kubernetes/objects.ts'
import { isStatus, type KubeClient } from '../kube/api.ts'
import { Backoff } from '../kube/backoff.ts'
import type { Clock } from '../kube/clock.ts'
import type { EventWriter } from '../kube/event.ts'
import { resourcePath } from '../kube/path.ts'
import type { ApproverMetrics } from '../telemetry/approver-metrics.ts'
import type { Logger } from '../telemetry/logger.ts'

export interface ApprovalsOptions {
  readonly client: Pick<KubeClient, 'request'>
  readonly settings: DecisionSettings
  readonly log: Logger
  readonly metrics: ApproverMetrics
  readonly events: Pick<EventWriter, 'emit'>
  readonly clock: Clock
  /** After so long it is asked again whether a requester has got the right that it had not. */
  readonly recheckMs: number
}

export const CSR_GROUP = 'certificates.k8s.io'
export const CSR_PLURAL = 'certificatesigningrequests'

interface Entry {
  readonly csr: SigningRequest
  readonly backoff: Backoff
  cancel: () => void
}

export class Approvals {
  readonly #options: ApprovalsOptions
  /** By uid: what is not settled yet, as far as it was seen. */
  readonly #pending = new Map<string, Entry>()
  /** Uids of those whose refusal was told; it is told once. */
  readonly #told = new Map<string, string>()
  readonly #stopped = new AbortController()
  #work: Promise<void> = Promise.resolve()

  constructor(options: ApprovalsOptions) {
    this.#options = options
  }

  /** A request as it is now. */
  see(csr: SigningRequest): void {
    this.forget(csr.uid)
    const verdict = decide(csr, this.#options.settings)
    if (verdict.kind === 'foreign') this.#leaveForeign(csr, verdict.refusal)
    if (verdict.kind === 'refused') this.#refuse(csr, verdict.refusal)
    if (verdict.kind !== 'sound') return
    const backoff = new Backoff({ minMs: 200, maxMs: 30_000, random: Math.random })
    const entry = { csr, backoff, cancel: () => {} }
    this.#pending.set(csr.uid, entry)
    this.#enqueue(entry, verdict.permission)
  }

  /** The request is gone, or about to be seen anew. */
  forget(uid: string): void {
    this.#pending.get(uid)?.cancel()
    this.#pending.delete(uid)
  }

  /** The request is gone for good. */
  drop(uid: string): void {
    this.forget(uid)
    this.#told.delete(uid)
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    for (const uid of [...this.#pending.keys()]) this.forget(uid)
    await this.#work
  }

  #enqueue(entry: Entry, permission: Permission): void {
    this.#work = this.#work.then(() => this.#try(entry, permission))
  }

  async #try(entry: Entry, permission: Permission): Promise<void> {
    const { csr, backoff } = entry
    const isCurrent = () => !this.#stopped.signal.aborted && this.#pending.get(csr.uid) === entry
    if (!isCurrent()) return
    const { log, metrics, recheckMs } = this.#options
    let wait = recheckMs
    try {
      if (await this.#isAllowed(csr, permission)) return await this.#approve(csr, permission)
      if (isCurrent()) this.#refuse(csr, unauthorised(csr, permission))
    } catch (error) {
      // Somebody was faster, or took it away; the watch says what became of it.
      if (isStatus(error, 409) || isStatus(error, 404) || !isCurrent()) return
      log.warn({ csr: csr.name, error: messageOf(error) }, 'a fault; trying again')
      metrics.faults.inc()
      wait = backoff.next()
    }
    if (isCurrent()) entry.cancel = this.#options.clock.after(wait, () => this.#enqueue(entry, permission))
  }

  async #isAllowed(csr: SigningRequest, permission: Permission): Promise<boolean> {
    const review = await this.#options.client.request<unknown>({
      method: 'POST',
      path: resourcePath({ group: 'authorization.k8s.io', version: 'v1', plural: 'subjectaccessreviews' }),
      body: accessReviewOf(csr, permission),
      signal: this.#stopped.signal,
    })
    const status = asRecord(own(asRecord(review), 'status'))
    return own(status, 'allowed') === true && own(status, 'denied') !== true
  }

  async #approve(csr: SigningRequest, permission: Permission): Promise<void> {
    const { client, log, metrics } = this.#options
    const { name, requester } = csr
    const message = `vnode-profile: ${requester.username} may create ${CSR_PLURAL}/${permission} for VNodes`
    await client.request({
      method: 'PATCH',
      path: resourcePath({
        group: CSR_GROUP,
        version: 'v1',
        plural: CSR_PLURAL,
        name,
        subresource: 'approval',
      }),
      contentType: 'application/json-patch+json',
      body: approvalOf(csr, message, new Date()),
      signal: this.#stopped.signal,
    })
    metrics.requests.inc({ outcome: 'approved' })
    log.info({ csr: name, requester: requester.username, permission }, 'approved')
    this.#tell(csr, 'Normal', 'VnodeCertificateApproved', message)
  }

  #leaveForeign({ name, uid }: SigningRequest, { code, reason }: Refusal): void {
    if (this.#told.get(uid) === code) return
    this.#told.set(uid, code)
    this.#options.metrics.requests.inc({ outcome: 'foreign' })
    this.#options.log.debug({ csr: name, code }, `none of ours: ${reason}`)
  }

  #refuse(csr: SigningRequest, { code, reason }: Refusal): void {
    if (this.#told.get(csr.uid) === code) return
    this.#told.set(csr.uid, code)
    this.#options.metrics.requests.inc({ outcome: code })
    this.#options.log.warn(
      { csr: csr.name, requester: csr.requester.username, code },
      `left alone: ${reason}`,
    )
    this.#tell(csr, 'Warning', 'VnodeCertificateNotApproved', `Left alone: ${reason}.`)
  }

  #tell({ name, uid }: SigningRequest, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const involved = { apiVersion: `${CSR_GROUP}/v1`, kind: 'CertificateSigningRequest', name, uid }
    this.#options.events.emit({ involved, type, reason, message, key: message })
  }
}
