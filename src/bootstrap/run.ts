/** `vnode bootstrap`: one VNode for this cluster, registered once, and Ready. Whatever is retried, killed or run twice. */
import { VnodeError } from '../core/errors.ts'
import { vnodeNames } from '../core/vnode/identity.ts'
import type { Step } from '../core/vnode/registration.ts'
import { systemClock } from '../kube/clock.ts'
import { EventWriter } from '../kube/event.ts'
import { awaitNode } from './await-node.ts'
import { type BootstrapOptions, prepare } from './prepare.ts'
import { Progress } from './progress.ts'
import { lookAhead, type Registration, register } from './register.ts'
import { planRemoval, type RemovalPlan, removeVnode } from './remove.ts'
import type { PlainRequest } from './wish.ts'

/** Throws an EciError, an ApiError, or a VnodeError with what to do next. */
export function runBootstrap(options: BootstrapOptions): Promise<Registration> {
  return withProgress(options, 'VnodeNotRegistered', async progress => {
    const { settings, client, eci, signal, clock = systemClock } = options
    const registration = await register((await prepare(options, progress)).register)
    const { virtualNodeId, nodeName } = registration
    const { waitMs } = settings
    await awaitNode({ client, eci, virtualNodeId, nodeName, waitMs, progress, clock, signal })
    progress.tell({ reason: 'VnodeReady', message: `Node ${nodeName} of VNode ${virtualNodeId} is Ready` })
    return registration
  })
}

/** The opposite: the VNode goes, and all that was made for it. Its id; undefined where there was none. */
export function runRemoval(options: BootstrapOptions): Promise<string | undefined> {
  return withProgress(options, 'VnodeNotRemoved', async progress =>
    removeVnode(options, await prepare(options, progress), progress),
  )
}

/** What a removal would do next; nothing is written, and of the values nothing is checked that it does not need. */
export function planBootstrapRemoval(options: BootstrapOptions): Promise<RemovalPlan> {
  const { say, signal } = options
  const progress = new Progress({ say, events: undefined, involved: involvedOf(options) })
  return unlessInterrupted(progress, signal, async () => planRemoval(await prepare(options, progress)))
}

export interface BootstrapPlan {
  readonly step: Step
  readonly request: PlainRequest
}

/** What a run would do next, all checks included that need nothing to be written. Throws what a run would throw. */
export async function planBootstrap(options: BootstrapOptions): Promise<BootstrapPlan> {
  const { say, signal } = options
  const progress = new Progress({ say, events: undefined, involved: involvedOf(options) })
  return unlessInterrupted(progress, signal, async () => {
    const { register: registering, request } = await prepare(options, progress)
    const { step } = await lookAhead(registering)
    if (step.kind === 'intend' || step.kind === 'prepare' || step.kind === 'end') await registering.check()
    return { step, request }
  })
}

/** What goes wrong is told by an Event too, and whatever is to be told is written before this ends. */
async function withProgress<T>(
  options: BootstrapOptions,
  reason: string,
  work: (progress: Progress) => Promise<T>,
): Promise<T> {
  const { client, say, signal } = options
  const events = new EventWriter({ client })
  const progress = new Progress({ say, events, involved: involvedOf(options) })
  try {
    return await unlessInterrupted(progress, signal, () => work(progress))
  } catch (error) {
    if (error instanceof VnodeError && !signal.aborted)
      progress.tell({ reason, message: error.message, isWarning: true })
    throw error
  } finally {
    await events.idle()
  }
}

/** What an aborted signal throws is no fault of the program, and says nothing of what is paid for. */
async function unlessInterrupted<T>(
  progress: Progress,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw signal.aborted && !(error instanceof VnodeError) ? progress.interrupted() : error
  }
}

function involvedOf({ settings }: BootstrapOptions) {
  return { namespace: settings.installNamespace, name: vnodeNames(settings.prefix).record }
}
