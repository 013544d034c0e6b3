/** The rights that spills take, besides the helper's others, and why. */
import type { AccessRule } from '../access-rule.ts'

const READ = ['get', 'list', 'watch']

/** To change a Pod is to run anything anywhere: the chart's ValidatingAdmissionPolicy says what of it may change, which RBAC cannot say. */
export function spillAccess(): readonly AccessRule[] {
  const rule = { role: 'cluster', apiGroup: '' }
  const look = ['list', 'watch']
  return [
    {
      ...rule,
      resources: ['pods'],
      verbs: [...READ, 'patch'],
      reason: 'Pods that no real node can take, and those on VNodes, are found and changed',
    },
    {
      ...rule,
      resources: ['events'],
      verbs: look,
      reason: 'an autoscaler says by an Event that it makes a node for a Pod',
    },
    {
      ...rule,
      resources: ['persistentvolumeclaims'],
      verbs: look,
      reason: 'a Pod whose claim no node can mount does not spill',
    },
    {
      ...rule,
      apiGroup: 'storage.k8s.io',
      resources: ['storageclasses'],
      verbs: look,
      reason: 'some claims are bound only once their Pod has a node',
    },
    {
      ...rule,
      apiGroup: 'apps',
      resources: ['replicasets'],
      verbs: ['get'],
      reason: 'Events about Pods are for the Deployment that they come from',
    },
    {
      ...rule,
      apiGroup: 'batch',
      resources: ['jobs'],
      verbs: ['get'],
      reason: 'the same for a CronJob',
    },
  ]
}
