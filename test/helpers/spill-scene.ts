import type { Test } from 'tap'
import type { ControlPlane } from './control-plane.ts'
import type { StoredPod } from './placed-pods.ts'
import { vnodeTolerations } from './pod-story.ts'
import { makeContainer, makePod, type PodOverrides } from './pods.ts'
import type { TestSpiller } from './spiller.ts'

const TIMEOUT = { timeout: 15_000 }
const MERGE = { contentType: 'application/merge-patch+json' }
/** More than any real node has. */
const LARGE = { containers: [makeContainer({ cpu: '10' })] }

export interface SceneOptions {
  readonly controlPlane: ControlPlane
  readonly spiller: Pick<TestSpiller, 'event'>
}

/** A namespace of a test with Pods that no real node can take, beside a spiller. */
export class SpillScene {
  readonly namespace: string
  readonly pods: string
  readonly #t: Test
  readonly #options: SceneOptions

  constructor(t: Test, namespace: string, options: SceneOptions) {
    this.#t = t
    this.#options = options
    this.namespace = namespace
    this.pods = `/api/v1/namespaces/${namespace}/pods`
  }

  static async make(t: Test, options: SceneOptions): Promise<SpillScene> {
    return new SpillScene(t, await options.controlPlane.namespace(t), options)
  }

  create({ labels, spec, ...more }: PodOverrides = {}): Promise<StoredPod> {
    const own = { name: 'app', ...more, labels: { rule: 'web', ...labels }, spec: { ...LARGE, ...spec } }
    return this.#options.controlPlane.ask<StoredPod>('POST', this.pods, { body: makePod(own) })
  }

  path(name = 'app'): string {
    return `${this.pods}/${name}`
  }

  get(name = 'app'): Promise<StoredPod> {
    return this.#options.controlPlane.ask<StoredPod>('GET', this.path(name))
  }

  /** The Event that says so. */
  async heldBack(code: string, name = 'app'): Promise<string> {
    const { spiller } = this.#options
    const message = await spiller.event(this.namespace, name, 'SpillHeldBack', new RegExp(`\\(${code}\\)`))
    this.#t.equal(vnodeTolerations(await this.get(name)), 0)
    return message
  }

  async spills(name = 'app'): Promise<StoredPod> {
    return await this.becomes(name, pod => vnodeTolerations(pod) === 1)
  }

  async bound(name = 'app'): Promise<StoredPod> {
    return await this.becomes(name, ({ spec }) => spec.nodeName !== undefined)
  }

  /** Waits until the Pod is as wanted. */
  async becomes(name: string, isWanted: (pod: StoredPod) => boolean): Promise<StoredPod> {
    return await this.#options.controlPlane.waitFor<StoredPod>(this.path(name), isWanted, TIMEOUT)
  }

  async change(name: string, patch: object): Promise<void> {
    await this.#options.controlPlane.ask('PATCH', this.path(name), { body: patch, ...MERGE })
  }

  /** What the scheduler writes, which is asleep. */
  async reportUnschedulable(name = 'app'): Promise<void> {
    const lastTransitionTime = new Date().toISOString().replace(/\.\d+/, '')
    const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', lastTransitionTime }
    await this.#options.controlPlane.ask('PATCH', `${this.path(name)}/status`, {
      body: { status: { conditions: [condition] } },
      contentType: 'application/strategic-merge-patch+json',
    })
  }

  /** An Event about the Pod, by another program. */
  async eventAbout(
    { metadata }: StoredPod,
    { reason, component, ageMs }: { reason: string; component: string; ageMs: number },
  ): Promise<void> {
    const { name, namespace, uid } = metadata
    const time = new Date(Date.now() - ageMs).toISOString().replace(/\.\d+/, '')
    await this.#options.controlPlane.ask('POST', `/api/v1/namespaces/${namespace}/events`, {
      body: {
        metadata: { name: `${name}.${ageMs}` },
        involvedObject: { apiVersion: 'v1', kind: 'Pod', name, namespace, uid },
        reason,
        type: 'Normal',
        message: 'a test says so',
        source: { component },
        firstTimestamp: time,
        lastTimestamp: time,
      },
    })
  }
}
