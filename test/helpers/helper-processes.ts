/** `vnode helper` as processes of their own, which stand for election against each other. */
import type { Test } from 'tap'
import { holds } from './webhook.ts'
import { VnodeProcess } from './webhook-process.ts'

export interface HelperProcessOptions {
  /** By which its objects are named; also its namespace. */
  readonly name: string
  readonly kubeconfig: string
  /** Where a webhook would be. */
  readonly webhookPort: number
  /** In Go's syntax. */
  readonly lease?: { readonly duration: string; readonly renewDeadline: string; readonly retryPeriod: string }
  readonly args?: readonly string[]
  /** The bundle, as it is shipped, and Node's arguments for it; else the sources. */
  readonly shipped?: { readonly program: string; readonly nodeArgs: readonly string[] }
}

const LEASE = { duration: '3s', renewDeadline: '2s', retryPeriod: '300ms' }

export function startHelperProcess(t: Test, options: HelperProcessOptions): VnodeProcess {
  const { name, kubeconfig, webhookPort, lease = LEASE, args = [], shipped } = options
  return new VnodeProcess(t, {
    command: 'helper',
    ...shipped,
    args: [
      ...['--kubeconfig', kubeconfig, '--webhook-url', `https://127.0.0.1:${webhookPort}`],
      ...['--lease-duration', lease.duration, '--renew-deadline', lease.renewDeadline],
      ...['--retry-period', lease.retryPeriod, '--host', '127.0.0.1', '--ops-port', '0', ...args],
    ],
    env: {
      VNODE_INSTALL_NAMESPACE: name,
      VNODE_NAME: name,
      // What a test runner has Node load takes more memory than the program.
      ...(shipped === undefined ? {} : { NODE_OPTIONS: '' }),
    },
  })
}

export function leasePath(name: string): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${name}/leases/${name}-helper`
}

const LEADERSHIP = ['leading', 'not leading any more']

/** As far as its log tells. */
export function leads(one: VnodeProcess): boolean {
  return one.log.findLast(({ msg }) => LEADERSHIP.includes(msg))?.msg === 'leading'
}

/** The one that leads; waits until one does. */
export async function leaderOf(helpers: readonly VnodeProcess[], timeout: number): Promise<VnodeProcess> {
  await holds(() => helpers.some(leads), timeout).catch(() => {
    throw new Error(`nobody leads: ${helpers.map(one => one.stdoutText + one.stderrText).join('\n---\n')}`)
  })
  const leader = helpers.find(leads)
  if (leader === undefined) throw new Error('nobody leads')
  return leader
}
