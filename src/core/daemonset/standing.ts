/** How a DaemonSet of a cluster stands to VNodes, for people and programs that ask. */
import type { Environment } from '../pod/placement.ts'
import type { DaemonSetFacts } from './daemon-set.ts'
import { isFenced } from './fence.ts'
import { recordOf } from './fence-record.ts'
import { type Landing, landingOf } from './landing.ts'
import { type Manager, managerOf } from './manager.ts'

export interface Standing {
  readonly namespace: string
  readonly name: string
  readonly landing: Landing
  readonly toleratesVnode: boolean
  /** Whose fence is in every term: ours, by admission or by command, or its author's. */
  readonly fencedBy?: 'admission' | 'command' | 'author'
  readonly isOptedOut: boolean
  readonly manager?: Manager
}

export function standingOf(daemonSet: DaemonSetFacts, environment: Environment): Standing {
  const { namespace, name, isOptedOut, pod } = daemonSet
  const landing = landingOf(pod, environment)
  const manager = managerOf(daemonSet)
  const record = recordOf(daemonSet)
  return {
    namespace,
    name,
    landing,
    toleratesVnode: landing.code !== 'not-tolerated',
    ...(isFenced(pod) ? { fencedBy: record?.terms.length ? record.by : 'author' } : {}),
    isOptedOut,
    ...(manager === undefined ? {} : { manager }),
  }
}
