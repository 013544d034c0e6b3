/** A cluster with a VNode and no room on its real nodes, and the bundled helper in it. */
import { join } from 'node:path'
import type { Child } from '../test/helpers/child-process.ts'
import { type ControlPlane, startControlPlane } from '../test/helpers/control-plane.ts'
import { freePorts } from '../test/helpers/free-ports.ts'
import { prepareHelper } from '../test/helpers/helper.ts'
import { patience } from '../test/helpers/patience.ts'
import { setRules } from '../test/helpers/rules.ts'
import { SpillLedger } from '../test/helpers/spill-ledger.ts'
import { startVnode } from '../test/helpers/vnode.ts'
import { holds } from '../test/helpers/webhook.ts'
import type { Context } from './context.ts'
import { startServer } from './programs.ts'
import { podOf } from './review.ts'

const NAME = 'bench-helper'
/** Only where real nodes are filled, so that the requests of every bound Pod are followed. */
const RULE = {
  name: 'web',
  objectSelector: { matchLabels: { tier: 'backend' } },
  policy: { normalNodePrefer: { cpuRatio: 80 } },
}
/** As admission leaves them. */
const MARKS = { 'vnode-profile.io/rules': 'web', 'vnode-profile.io/policy': 'normalNodePrefer' }
export const VNODE = 'cn-hangzhou.vnd-bench'

export interface HelperCluster {
  readonly controlPlane: ControlPlane
  readonly kubeconfig: string
}

export async function startHelperCluster(): Promise<HelperCluster> {
  const controlPlane = await startControlPlane({
    scheduler: true,
    // At its usual rate it would report fifty Pods a second.
    schedulerFlags: ['--kube-api-qps=5000', '--kube-api-burst=5000'],
  })
  await startVnode(controlPlane, { name: VNODE, pods: 20_000 })
  await setRules(controlPlane, [RULE])
  return { controlPlane, kubeconfig: await prepareHelper({ controlPlane, name: NAME, spill: {} }) }
}

export interface HelperOptions {
  /** Of Node. */
  readonly nodeArgs?: readonly string[]
  readonly args?: readonly string[]
}

/** The bundled helper, once it leads and follows the Pods. */
export async function startHelper(
  { bundle, folder }: Context,
  { kubeconfig }: HelperCluster,
  { nodeArgs = [], args = [] }: HelperOptions,
): Promise<Child> {
  const [opsPort = 0, webhookPort = 0] = await freePorts(2)
  const place = [
    '--install-namespace',
    NAME,
    '--name',
    NAME,
    '--webhook-url',
    `https://127.0.0.1:${webhookPort}`,
  ]
  const ports = ['--host', '127.0.0.1', '--ops-port', String(opsPort)]
  const child = startServer(
    [...nodeArgs, bundle, 'helper', '--kubeconfig', kubeconfig, ...place, ...ports, ...args],
    join(folder, 'helper.log'),
  )
  await child.until(async () => {
    const text = await (await fetch(`http://127.0.0.1:${opsPort}/readyz`)).text()
    return text.includes('[ok] pods: followed')
  })
  return child
}

/** The Pod of the review, with this name. */
export function podNamed(review: string, name: string, spec: object = {}): object {
  const pod = podOf(review)
  const { annotations, labels } = pod.metadata
  return {
    metadata: { name, labels, annotations: { ...annotations, ...MARKS } },
    spec: { ...pod.spec, ...spec },
  }
}

/** A namespace of its own, and what happens to its Pods. */
export async function openNamespace(controlPlane: ControlPlane, namespace: string): Promise<SpillLedger> {
  await controlPlane.ask('POST', '/api/v1/namespaces', { body: { metadata: { name: namespace } } })
  await controlPlane.ask('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, {
    body: { metadata: { name: 'default' } },
  })
  return await SpillLedger.follow(controlPlane, { namespace })
}

const LONGEST_MS = 600_000

/** Waits until something is so, for as long as the slowest part takes. */
export function until(isWanted: () => boolean | Promise<boolean>): Promise<void> {
  return holds(isWanted, LONGEST_MS / patience(1))
}
