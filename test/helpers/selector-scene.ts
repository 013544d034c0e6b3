import type { Test } from 'tap'
import { type ControlPlane, controlPlaneOrSkip } from './control-plane.ts'
import type { KubeList, KubeObject } from './kube-http.ts'
import type { StoredPod } from './placed-pods.ts'
import { tryPod } from './placements.ts'
import type { PodOverrides } from './pods.ts'
import { registerWebhook } from './registration.ts'
import { deleteRules, installSelectorCrd, selectorPath, setSelector } from './rules.ts'
import { startTestWebhook, type TestWebhook } from './webhook.ts'

/** A webhook in a cluster with namespaced Selectors, which choose Pods with the label app=web unless they say otherwise. */
export interface SelectorScene {
  readonly controlPlane: ControlPlane
  readonly webhook: TestWebhook
  select(namespace: string, name: string, spec?: object): Promise<KubeObject>
  /** What becomes of such a Pod. */
  send(namespace: string, pod?: PodOverrides): Promise<StoredPod>
  /** A namespace for the test, after which there are no rules at all. */
  place(t: Test): Promise<string>
  /** The message of the Event of this reason about a Selector as it was written then. */
  eventAbout(reason: string, selector: KubeObject): Promise<string>
}

/** Undefined, with the test skipped, where there are no programs for it. */
export async function startSelectorScene(t: Test): Promise<SelectorScene | undefined> {
  const controlPlane = await controlPlaneOrSkip(t)
  if (controlPlane === undefined) return undefined
  const webhook = await startTestWebhook(t, { controlPlane })
  await webhook.ready()
  await registerWebhook(t, controlPlane, webhook)
  await installSelectorCrd(t, controlPlane, { hasSchema: false })
  const clear = async (): Promise<void> => {
    const { items } = await controlPlane.ask<KubeList>('GET', '/apis/eci.aliyun.com/v1/selectors')
    for (const { metadata } of items) await controlPlane.ask('DELETE', selectorPath(metadata))
    await deleteRules(controlPlane)
    await webhook.inForce()
  }
  return {
    controlPlane,
    webhook,
    select: (namespace, name, spec = {}) =>
      setSelector(controlPlane, {
        name,
        namespace,
        spec: { objectLabels: { matchLabels: { app: 'web' } }, ...spec },
      }),
    send: (namespace, pod = {}) => tryPod(controlPlane, namespace, { labels: { app: 'web' }, ...pod }),
    place: async t => {
      const namespace = await controlPlane.namespace(t)
      t.teardown(clear)
      return namespace
    },
    eventAbout: async (reason, { metadata }) => {
      const path = `/api/v1/namespaces/${metadata.namespace}/events`
      const isIt = (event: KubeObject) =>
        event.reason === reason &&
        JSON.stringify(event.involvedObject).includes(`"${metadata.resourceVersion}"`)
      const events = await controlPlane.waitForAll(path, events => events.some(isIt))
      return String(events.find(isIt)?.message)
    },
  }
}
