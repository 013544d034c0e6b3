/** Lists of rules as large clusters have them: many teams, each with rules for their own workloads, and one that matches. */

/** How many rules the benchmark tries. */
export const RULE_COUNTS = [1, 10, 100, 1000, 10_000] as const

export interface RuleText {
  readonly name: string
  readonly namespaces?: readonly string[]
  readonly namespaceSelector?: object
  readonly objectSelector?: object
  readonly effect: object
  readonly policy?: object
}

/** The one that matches the Pod of the benchmark, with an effect as people write them. */
const MATCHING: RuleText = {
  name: 'shop-to-eci',
  objectSelector: { matchLabels: { team: 'shop' } },
  effect: {
    annotations: {
      'k8s.aliyun.com/eci-use-specs': '2-4Gi,4-8Gi',
      'k8s.aliyun.com/eci-spot-strategy': 'SpotAsPriceGo',
    },
    labels: { 'billing.example.com/unit': 'serverless' },
  },
}

/** As many rules, of which exactly one matches; it is the last, so that no order can help. */
export function ruleList(count: number): RuleText[] {
  return [...Array.from({ length: count - 1 }, (_, index) => distinctRule(index)), MATCHING]
}

/** Rules that no index can rule out: each has to be looked at for every Pod. */
export function unanchoredRules(count: number): RuleText[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `everything-but-${index}`,
    namespaces: [`group-${index}-*`],
    objectSelector: { matchExpressions: [{ key: 'stage', operator: 'NotIn', values: [`stage-${index}`] }] },
    effect: {},
  }))
}

/** Ten kinds of rules in turn, by what tells their Pods from others. */
function distinctRule(index: number): RuleText {
  const rule = { name: `rule-${index}`, effect: effectOf(index) }
  const team = `team-${index % 500}`
  switch (index % 10) {
    case 0:
    case 1:
    case 2:
      return {
        ...rule,
        objectSelector: { matchLabels: { 'app.kubernetes.io/name': `service-${index}`, team } },
      }
    // Labels that the Pod of the benchmark has too: only the namespace tells.
    case 3:
    case 4:
      return {
        ...rule,
        namespaces: [`namespace-${index}`],
        objectSelector: { matchLabels: { tier: 'backend' } },
      }
    case 5:
      return { ...rule, objectSelector: { matchExpressions: [oneOf('batch', index)] } }
    case 6: {
      const exists = { key: `features.example.com/f-${index}`, operator: 'Exists' }
      return { ...rule, objectSelector: { matchExpressions: [exists] } }
    }
    case 7:
      return { ...rule, namespaceSelector: { matchLabels: { project: `project-${index}` } } }
    case 8:
      return {
        ...rule,
        namespaceSelector: { matchLabels: { env: 'ci' } },
        objectSelector: { matchLabels: { job: `job-${index}` } },
      }
    default: {
      const notArm = { key: 'kubernetes.io/arch', operator: 'NotIn', values: ['arm64'] }
      return { ...rule, objectSelector: { matchLabels: { job: `job-${index}` }, matchExpressions: [notArm] } }
    }
  }
}

function oneOf(key: string, index: number): object {
  return {
    key,
    operator: 'In',
    values: [`${key}-${index}`, `${key}-${index}-nightly`, `${key}-${index}-weekly`],
  }
}

function effectOf(index: number): object {
  return {
    annotations: {
      'k8s.aliyun.com/eci-use-specs': index % 2 === 0 ? '2-4Gi' : '4-8Gi,ecs.c6.xlarge',
      'k8s.aliyun.com/eci-custom-tags': `rule:rule-${index}`,
    },
  }
}

/** `data.selectors` of the ConfigMap. */
export function configMapText(rules: readonly RuleText[]): string {
  return JSON.stringify(rules)
}

/** The same rules as Selector objects in the installation's namespace, as the apiserver would give them. */
export function selectorObjects(rules: readonly RuleText[], namespace: string): object[] {
  return rules.map(({ name, namespaces, namespaceSelector, objectSelector, effect }, index) => ({
    apiVersion: 'eci.aliyun.com/v1',
    kind: 'Selector',
    metadata: {
      name,
      namespace,
      uid: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
      resourceVersion: String(1000 + index),
      creationTimestamp: '2026-06-01T08:00:00Z',
    },
    spec: {
      ...(namespaces === undefined ? {} : { namespaces }),
      ...(namespaceSelector === undefined ? {} : { namespaceLabels: namespaceSelector }),
      ...(objectSelector === undefined ? {} : { objectLabels: objectSelector }),
      effect,
      policy: { virtualNodeOnly: {} },
      priority: 0,
    },
  }))
}
