/** One run of `vnode bootstrap` as tests settle it; apart from the other helpers, so that a process of its own starts fast with it. */
import { randomBytes, randomUUID } from 'node:crypto'
import type { BootstrapOptions } from '../../src/bootstrap/prepare.ts'
import type { Notice } from '../../src/bootstrap/progress.ts'
import type { Registration } from '../../src/bootstrap/register.ts'
import { runBootstrap, runRemoval } from '../../src/bootstrap/run.ts'
import type { BootstrapSettings } from '../../src/bootstrap/settings.ts'
import type { IdentityKind } from '../../src/core/vnode/identity.ts'
import { VISIBLE_WITHIN_MS } from '../../src/core/vnode/registration.ts'
import type { EciClient } from '../../src/eci/virtual-node.ts'
import type { KubeClient } from '../../src/kube/api.ts'
import type { Clock } from '../../src/kube/clock.ts'
import { connectDirectly } from '../../src/kube/direct.ts'
import type { JumpClock } from './fake-clock.ts'

export interface RunOptions {
  /** The API server's URL. */
  readonly url: string
  /** Namespace and prefix of the installation, and the VNode's name. */
  readonly name: string
  readonly identity?: IdentityKind
  readonly settings?: Partial<BootstrapSettings>
  readonly client: KubeClient
  readonly eci: EciClient
  readonly onNotice?: (notice: Notice) => void
  readonly signal?: AbortSignal
  readonly clock?: Clock
}

export interface BootstrapRun {
  readonly registration: Registration
  readonly notices: readonly Notice[]
}

/** Where the control plane seems to be in the VPC: its own address is a loopback one. */
export const VPC_APISERVER = 'https://192.168.0.10:6443'

function routed(server: string, url: string): string {
  return server === VPC_APISERVER ? url : server
}

export async function runWith(options: RunOptions): Promise<BootstrapRun> {
  const notices: Notice[] = []
  const registration = await runBootstrap(optionsOf(options, notices))
  return { registration, notices }
}

/** Removes what {@link runWith} has registered. */
export function removeWith(options: RunOptions): Promise<string | undefined> {
  return runRemoval(optionsOf(options, []))
}

function optionsOf(options: RunOptions, notices: Notice[]): BootstrapOptions {
  const { client, eci, onNotice, signal = new AbortController().signal, clock } = options
  return {
    settings: bootstrapSettings(options),
    client,
    eci,
    connectAs: access =>
      connectDirectly({
        ...access,
        server: routed(access.server, options.url),
        userAgent: 'vnode-profile/test',
      }),
    say: notice => {
      notices.push(notice)
      onNotice?.(notice)
    },
    signal,
    uuid: randomUUID,
    random: randomCharacters,
    ...(clock === undefined ? {} : { clock }),
  }
}

/** Puts the clock forward to the end of whatever a run says that it waits for. */
export function skipWaits(clock: JumpClock): (notice: Notice) => void {
  return ({ reason }) => {
    // It begins to wait once it has said so.
    if (reason === 'Waiting') queueMicrotask(() => clock.jump(VISIBLE_WITHIN_MS))
  }
}

function bootstrapSettings({ name, identity = 'tls-bootstrap', settings }: RunOptions): BootstrapSettings {
  return {
    installNamespace: name,
    prefix: name,
    virtualNode: {
      name,
      // Those of the fake's network.
      vSwitchIds: ['vsw-7xv2yk45qp5etidgf0001'],
      securityGroupId: 'sg-7xv5tcch4kjdr65t0001',
      tags: [],
      taints: [],
      hasPublicNetwork: false,
    },
    identity: { kind: identity },
    apiserver: VPC_APISERVER,
    leastCredentialLifeMs: 30 * 86_400_000,
    // Tests of one cluster have VNodes of their own.
    isAdditional: true,
    isReachChecked: true,
    waitMs: 240_000,
    ...settings,
  }
}

function randomCharacters(length: number): string {
  return [...randomBytes(length)].map(byte => (byte % 36).toString(36)).join('')
}
