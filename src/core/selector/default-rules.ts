/**
 * The rules that the chart ships with, which are those that eci-profile ships with: `data.selectors` of the ConfigMap. They serve
 * `vnode explain` when it is given no rules.
 */
export const DEFAULT_RULES = `[
  {
    "name": "pod-alibabacloud-eci",
    "objectSelector": { "matchLabels": { "alibabacloud.com/eci": "true" } }
  },
  {
    "name": "pod-eci",
    "objectSelector": { "matchLabels": { "eci": "true" } }
  },
  {
    "name": "namespace-alibabacloud-eci",
    "namespaceSelector": { "matchLabels": { "alibabacloud.com/eci": "true" } }
  },
  {
    "name": "namespace-eci",
    "namespaceSelector": { "matchLabels": { "eci": "true" } }
  },
  {
    "name": "namespace-virtual-node-affinity",
    "namespaceSelector": { "matchLabels": { "virtual-node-affinity-injection": "enabled" } }
  }
]
`
