import { basename } from 'node:path'
import t from 'tap'
import { asRecord, asString } from '../../src/core/kubernetes/objects.ts'
import { mutatePod } from '../../src/core/pod/mutate.ts'
import { readRuleDocuments } from '../../src/core/selector/documents.ts'
import { type ControlPlane, controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { type Placement, placementOf, type StoredPod } from '../helpers/placed-pods.ts'
import { environmentOf, readPodGoldens } from '../helpers/pod-goldens.ts'
import { registerWebhook } from '../helpers/registration.ts'
import { forwardTo, startReviewServer } from '../helpers/review-server.ts'
import { installSelectorCrd, setRules, setSelector } from '../helpers/rules.ts'
import { holds, startTestWebhook } from '../helpers/webhook.ts'
import { applyObject } from '../helpers/webhook-rights.ts'

/** Without the tolerations that the apiserver gives every Pod, which most goldens leave out. */
function withoutAway(placement: Placement): Placement {
  const isAway = /^node\.kubernetes\.io\/(?:not-ready|unreachable)$/
  return { ...placement, tolerations: placement.tolerations.filter(({ key = '' }) => !isAway.test(key)) }
}

async function setNamespace(
  controlPlane: ControlPlane,
  name: string,
  labels: ReadonlyMap<string, string> = new Map(),
): Promise<void> {
  await applyObject(controlPlane, `/api/v1/namespaces/${name}`, {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: Object.fromEntries(labels) },
  })
}

/** Older Selectors win ties, and the apiserver's times are whole seconds. */
async function nextSecond(): Promise<void> {
  const second = Math.floor(Date.now() / 1000)
  await holds(() => Math.floor(Date.now() / 1000) > second, 2000)
}

async function setSelectors(controlPlane: ControlPlane, rules: string): Promise<void> {
  let last = ''
  for (const { object } of readRuleDocuments(rules).selectors) {
    const { name, namespace, creationTimestamp } = asRecord(object.metadata) ?? {}
    const created = asString(creationTimestamp) ?? last
    if (last !== '' && created > last) await nextSecond()
    last = created
    await setNamespace(controlPlane, String(namespace))
    await setSelector(controlPlane, {
      name: String(name),
      namespace: String(namespace),
      version: String(object.apiVersion).replace(/.*\//, ''),
      spec: asRecord(object.spec) ?? {},
    })
  }
}

const controlPlane = await controlPlaneOrSkip(t, { apiserverFlags: ['--allow-privileged=true'] })

if (controlPlane !== undefined) {
  const webhook = await startTestWebhook(t, { controlPlane })
  const front = await startReviewServer(t, forwardTo(webhook))
  await registerWebhook(t, controlPlane, front)

  const byRules = Map.groupBy(readPodGoldens(), ({ rulesFile }) => rulesFile)
  for (const [rulesFile, [first, ...others]] of byRules) {
    t.test(`by the rules of ${basename(rulesFile)}`, async t => {
      if (first === undefined) return
      const { rules } = first
      await installSelectorCrd(t, controlPlane, { versions: ['v1', 'v1beta1'] })
      await setRules(controlPlane, readRuleDocuments(rules).rulesTexts[0]?.text ?? '')
      await setSelectors(controlPlane, rules)
      const wanted = environmentOf(first).rules.rules.map(rule => rule.name)
      await webhook.inForce(...wanted)
      for (const golden of [first, ...others]) {
        const { name, labels } = golden.namespace
        await setNamespace(controlPlane, name, labels)
        await webhook.until('the labels are known', state => {
          const known = state.labelsOfNamespace(name)
          return state.knowsNamespace(name) && [...labels].every(([key, value]) => known.get(key) === value)
        })
        const path = `/api/v1/namespaces/${name}/pods?dryRun=All`
        const stored = await controlPlane.ask<StoredPod>('POST', path, { body: golden.pod })
        const expected = golden.expected as unknown as StoredPod
        t.strictSame(withoutAway(placementOf(stored)), withoutAway(placementOf(expected)), golden.name)
        // What the apiserver sent has its defaults in it; the core decides about that.
        const sent = front.exchanges.at(-1)?.request.object
        const { result } = mutatePod(sent, golden.namespace, environmentOf(golden))
        t.strictSame(
          placementOf(stored),
          placementOf(result as unknown as StoredPod),
          `${golden.name}, with the apiserver's defaults`,
        )
      }
    })
  }
}
