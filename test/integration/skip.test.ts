import t from 'tap'
import { LABEL_SKIP } from '../../src/core/names.ts'
import type { Settings } from '../../src/core/settings.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { placementOf, type StoredPod, sentToVnodes, UNTOUCHED } from '../helpers/placed-pods.ts'
import { makePod } from '../helpers/pods.ts'
import { registerWebhook } from '../helpers/registration.ts'
import { setRules } from '../helpers/rules.ts'
import { startTestWebhook } from '../helpers/webhook.ts'

const ECI = { 'alibabacloud.com/eci': 'true' }
const SKIP = { [LABEL_SKIP]: 'true' }

interface Case {
  readonly allowSkip: Settings['allowSkip']
  /** Whether a Pod is left as it is that has the label itself, and one whose namespace has it. */
  readonly pod: boolean
  readonly namespace: boolean
}

const cases: Record<string, Case> = {
  'the label to skip counts on Pods and on Namespaces by default': {
    allowSkip: 'pod',
    pod: true,
    namespace: true,
  },
  'on Namespaces alone, where Pods may not decide it': {
    allowSkip: 'namespace',
    pod: false,
    namespace: true,
  },
  'nowhere, where nobody may': { allowSkip: 'never', pod: false, namespace: false },
}

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  await setRules(controlPlane, [{ name: 'eci', objectSelector: { matchLabels: ECI } }])

  for (const [behaviour, { allowSkip, ...skipped }] of Object.entries(cases)) {
    t.test(behaviour, async t => {
      const webhook = await startTestWebhook(t, { controlPlane, settings: { allowSkip } })
      const plain = await controlPlane.namespace(t)
      const labelled = await controlPlane.namespace(t)
      await webhook.inForce('eci')
      await registerWebhook(t, controlPlane, webhook)
      await controlPlane.kubectl(['label', 'namespace', labelled, `${LABEL_SKIP}=true`])
      await webhook.until('the label is known', state => state.labelsOfNamespace(labelled).has(LABEL_SKIP))
      const store = async (namespace: string, labels: Record<string, string>) => {
        const path = `/api/v1/namespaces/${namespace}/pods`
        return placementOf(await controlPlane.ask<StoredPod>('POST', path, { body: makePod({ labels }) }))
      }
      const expected = (isSkipped: boolean, labels: Record<string, string>) =>
        isSkipped ? { ...UNTOUCHED, labels } : { ...sentToVnodes('eci'), labels }
      const both = { ...ECI, ...SKIP }
      t.strictSame(await store(plain, both), expected(skipped.pod, both), 'a Pod with the label')
      t.strictSame(await store(labelled, ECI), expected(skipped.namespace, ECI), 'a Pod of such a namespace')
      t.equal(await webhook.reviews('pods', 'skipped'), Number(skipped.pod) + Number(skipped.namespace))
      await controlPlane.kubectl(['label', 'namespace', labelled, `${LABEL_SKIP}-`])
      await webhook.until('the label is gone', state => !state.labelsOfNamespace(labelled).has(LABEL_SKIP))
      await controlPlane.ask('DELETE', `/api/v1/namespaces/${labelled}/pods/app`, {
        body: { gracePeriodSeconds: 0 },
      })
      t.strictSame(await store(labelled, ECI), expected(false, ECI), 'once the namespace has lost it')
    })
  }
}
