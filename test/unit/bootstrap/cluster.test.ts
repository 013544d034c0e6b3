import t from 'tap'
import { readCluster } from '../../../src/bootstrap/cluster.ts'
import type { ApiRequest } from '../../../src/kube/api.ts'

const OBJECTS = new Map<string, object>([
  ['/api/v1/namespaces/kube-system', { metadata: { uid: 'uid-1' } }],
  [
    '/api/v1/namespaces/default/services/kubernetes',
    { spec: { clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1', 'fd00::1'] } },
  ],
  ['/api/v1/namespaces/kube-system/services/kube-dns', { spec: { clusterIP: '10.0.0.10' } }],
])

t.test('addresses of Services, of both families', async t => {
  const request = async <T>({ path }: ApiRequest) => (OBJECTS.get(path) ?? {}) as T
  t.match(await readCluster({ request }), {
    uid: 'uid-1',
    serviceIPs: ['10.0.0.1', 'fd00::1', '10.0.0.10'],
    dns: '10.0.0.10',
  })
})
