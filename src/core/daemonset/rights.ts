import type { AccessRule } from '../rbac.ts'

/** Of `vnode daemonsets fence` for these, as `namespace/name`: for a moment, after an installation or upgrade. */
export function fenceAccess(names: readonly string[]): readonly AccessRule[] {
  const nodes: AccessRule = {
    role: 'cluster',
    apiGroup: '',
    resources: ['nodes'],
    verbs: ['list'],
    reason: 'which nodes are VNodes, and what keeps a daemon off them',
  }
  const fences = names.map((text): AccessRule => {
    const [namespace = '', name = ''] = text.split('/')
    const daemonSet = { role: 'fence', namespace, apiGroup: 'apps', resources: ['daemonsets'] }
    return { ...daemonSet, resourceNames: [name], verbs: ['get', 'patch'], reason: 'the fence' }
  })
  return names.length === 0 ? [] : [nodes, ...fences]
}
