/** What an API server notes of the writes of some users: who asked for what, and what became of it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'

export interface AuditedWrite {
  /** `namespace/name`. */
  readonly key: string
  readonly fieldManager: string
  readonly code: number
  readonly receivedAt: string
}

interface Entry {
  readonly requestURI: string
  readonly objectRef: { readonly namespace?: string; readonly name?: string }
  readonly responseStatus?: { readonly code?: number }
  readonly requestReceivedTimestamp: string
}

export class AuditLog {
  /** Of the API server. */
  readonly flags: readonly string[]
  readonly #log: string

  private constructor(policy: string, log: string) {
    this.#log = log
    this.flags = [`--audit-policy-file=${policy}`, `--audit-log-path=${log}`]
  }

  /** Of patches of Pods, each with its answer. */
  static ofPodPatches(t: Test): AuditLog {
    const folder = t.testdir({})
    const policy = join(folder, 'policy.json')
    const patches = { level: 'Metadata', verbs: ['patch'], resources: [{ group: '', resources: ['pods'] }] }
    const rules = [patches, { level: 'None' }]
    const kind = { apiVersion: 'audit.k8s.io/v1', kind: 'Policy' }
    writeFileSync(policy, JSON.stringify({ ...kind, omitStages: ['RequestReceived'], rules }))
    return new AuditLog(policy, join(folder, 'audit.log'))
  }

  /** Those by this field manager, in the order of the answers. */
  writesBy(fieldManager: string): AuditedWrite[] {
    // The last line may be one that is being written.
    const lines = readFileSync(this.#log, 'utf8').split('\n').slice(0, -1)
    return lines.map(readWrite).filter(write => write.fieldManager === fieldManager)
  }
}

function readWrite(line: string): AuditedWrite {
  const { requestURI, objectRef, responseStatus, requestReceivedTimestamp } = JSON.parse(line) as Entry
  return {
    key: `${objectRef.namespace}/${objectRef.name}`,
    fieldManager: new URL(requestURI, 'https://localhost').searchParams.get('fieldManager') ?? '',
    code: responseStatus?.code ?? 0,
    receivedAt: requestReceivedTimestamp,
  }
}
