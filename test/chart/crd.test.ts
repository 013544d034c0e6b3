/** The type Selector that the chart brings: what it takes and refuses, beside what the compiler of rules says. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { compileSelector } from '../../src/core/selector/resource-rules.ts'
import { DEFAULT_SETTINGS } from '../../src/core/settings.ts'
import { CHART, manifestsOf } from '../helpers/chart.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { setSelector } from '../helpers/rules.ts'

const CRD = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const WEB = { objectLabels: { matchLabels: { app: 'web' } } }

/** Taken, in v1 and v1beta1, and by the compiler without an error. */
const TAKEN = new Map<string, object>([
  ['the least', WEB],
  ['no policy, in words', { ...WEB, policy: null, namespaceLabels: null, effect: null, namespaces: null }],
  [
    'every field',
    {
      priority: -2147483648,
      objectLabels: {
        matchLabels: { app: 'web' },
        matchExpressions: [
          { key: 'tier', operator: 'In', values: ['a', 'b'] },
          { key: 'old', operator: 'DoesNotExist' },
          { key: 'new', operator: 'Exists', values: null },
        ],
      },
      namespaceLabels: { matchLabels: { team: 'a' }, matchExpressions: null },
      namespaces: ['team-*', '!team-x'],
      policy: { normalNodePrefer: { cpuRatio: 0, memoryRatio: 100, spillAfter: '1m30s' } },
      effect: { annotations: { 'k8s.aliyun.com/eci-use-specs': '2-4Gi' }, labels: { a: 'b' } },
    },
  ],
  ['fair', { ...WEB, policy: { fair: {} } }],
  ['fair with a preference', { ...WEB, policy: { fair: { preferRealNodes: true } } }],
  ['a policy without settings', { ...WEB, policy: { virtualNodeOnly: null } }],
  ['real nodes only', { ...WEB, policy: { normalNodeOnly: {} } }],
  [
    "the vendor's sample with a bare number",
    { ...WEB, effect: { annotations: { 'controller.kubernetes.io/pod-deletion-cost': -1000 } } },
  ],
])

/** Refused by the type, and by the compiler as well. */
const REFUSED = new Map<string, [spec: object, message: RegExp]>([
  ['two policies', [{ ...WEB, policy: { fair: {}, virtualNodeOnly: {} } }, /spec\.policy.*at most 1/]],
  ['an empty policy', [{ ...WEB, policy: {} }, /spec\.policy.*at least 1/]],
  ['an unknown policy', [{ ...WEB, policy: { namespaceResourceLimit: {} } }, /spec\.policy.*at least 1/]],
  [
    'a ratio above all',
    [{ ...WEB, policy: { normalNodePrefer: { cpuRatio: 101 } } }, /cpuRatio.*less than or equal to 100/],
  ],
  ['a priority in words', [{ ...WEB, priority: 'high' }, /spec\.priority.*integer/]],
  [
    'a priority beyond int32',
    [{ ...WEB, priority: 2147483648 }, /spec\.priority.*less than or equal to 2147483647/],
  ],
  [
    'an operator that there is not',
    [
      { objectLabels: { matchExpressions: [{ key: 'a', operator: 'Is' }] } },
      /operator: Unsupported value: "Is"/,
    ],
  ],
  ['neither a label nor a namespace of a Pod', [{ objectLabels: [] }, /spec\.objectLabels.*object/]],
])

const [crd] = manifestsOf(readFileSync(join(CHART, 'crds/selectors.eci.aliyun.com.yaml'), 'utf8'))
const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined && crd !== undefined) {
  await controlPlane.ask('POST', `${CRD}?fieldValidation=Strict`, { body: crd })
  const { status } = await controlPlane.waitFor(`${CRD}/selectors.eci.aliyun.com`, ({ status }) => {
    const conditions = Array.isArray(status?.conditions) ? status.conditions : []
    return conditions.some(({ type, status }) => type === 'Established' && status === 'True')
  })
  t.notMatch(JSON.stringify(status), /NonStructuralSchema/)

  for (const version of ['v1', 'v1beta1']) {
    for (const [name, spec] of TAKEN) {
      t.test(`${version} takes: ${name}`, async t => {
        const namespace = await controlPlane.namespace(t)
        const stored = await setSelector(controlPlane, { name: 'rule', namespace, version, spec })
        const { problems, rule } = compileSelector(stored, DEFAULT_SETTINGS)
        t.ok(rule, JSON.stringify(problems))
        t.match(stored.spec, withoutNulls(spec), 'nothing is lost')
      })
    }
    for (const [name, [spec, message]] of REFUSED) {
      t.test(`${version} refuses: ${name}`, async t => {
        const path = `/apis/eci.aliyun.com/${version}/namespaces/default/selectors`
        const { status, body } = await controlPlane.request('POST', path, {
          body: {
            apiVersion: `eci.aliyun.com/${version}`,
            kind: 'Selector',
            metadata: { name: 'rule' },
            spec,
          },
        })
        t.equal(status, 422)
        t.match(body.message, message)
        t.notOk(compileSelector({ metadata: { name: 'rule' }, spec }, DEFAULT_SETTINGS).rule)
      })
    }
  }

  t.test('kubectl shows what it is', async t => {
    await setSelector(controlPlane, { name: 'shown', namespace: 'default', spec: { ...WEB, priority: 7 } })
    const { stdout } = await controlPlane.kubectl(['get', 'selectors', 'shown'])
    t.match(stdout, /^NAME +PRIORITY +AGE\nshown +7 +/)
    const explained = await controlPlane.kubectl(['explain', 'selectors.spec.policy'])
    t.match(explained.stdout, /virtualNodeOnly.*\n.*On VNodes only/)
  })
}

function withoutNulls(value: object): object {
  return JSON.parse(JSON.stringify(value, (_, member) => member ?? undefined)) as object
}
