import type { Test } from 'tap'
import type { IdentityKind } from '../../src/core/vnode/identity.ts'
import type { EciClient } from '../../src/eci/virtual-node.ts'
import { startTestApprover, type TestApprover } from './approver.ts'
import { BOOTSTRAP_CONTROL_PLANE, bootstrapName, grantVnodes, prepareBootstrap } from './bootstrap.ts'
import { VPC_APISERVER } from './bootstrap-run.ts'
import { type ControlPlane, controlPlaneOrSkip } from './control-plane.ts'
import { eciClient } from './eci-client.ts'
import { type FakeEci, type FakeEciOptions, fakeEci } from './fake-eci/server.ts'

/** A cluster to register VNodes for, with their rights and an approver. Undefined, with the test skipped, where there is none. */
export async function bootstrapCluster(
  t: Test,
): Promise<{ readonly controlPlane: ControlPlane; readonly approver: TestApprover } | undefined> {
  const controlPlane = await controlPlaneOrSkip(t, BOOTSTRAP_CONTROL_PLANE)
  if (controlPlane === undefined) return undefined
  await grantVnodes(controlPlane)
  return { controlPlane, approver: await startTestApprover(t, { controlPlane }) }
}

export interface BootstrapSceneOptions {
  readonly controlPlane: ControlPlane
  readonly identity?: IdentityKind
  /** Secrets that it may read. */
  readonly secrets?: readonly string[]
  readonly fake?: FakeEciOptions
}

/** What one installation needs, with a fake of its own. */
export interface BootstrapScene {
  /** Namespace and prefix of the installation, and the VNode's name. */
  readonly name: string
  readonly fake: FakeEci
  readonly eci: EciClient
  /** Of the Job's identity. */
  readonly kubeconfig: string
}

export async function bootstrapScene(
  t: Test,
  { controlPlane, fake: options, ...rest }: BootstrapSceneOptions,
): Promise<BootstrapScene> {
  const name = bootstrapName(t)
  const fake = await fakeEci(t, { routes: { [VPC_APISERVER]: controlPlane.url }, ...options })
  const kubeconfig = await prepareBootstrap({ controlPlane, name, ...rest })
  return { name, fake, eci: eciClient(t, fake), kubeconfig }
}
