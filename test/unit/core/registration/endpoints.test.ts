import t from 'tap'
import { addressOf, endpointsOf } from '../../../../src/core/registration/endpoints.ts'

const ports = [{ name: 'https', port: 8443 }]

const CASES: Readonly<Record<string, readonly [slice: unknown, endpoints: readonly object[]]>> = {
  'ready, not ready, and of unknown readiness, which counts as ready': [
    {
      ports,
      endpoints: [
        { addresses: ['10.0.0.1'], conditions: { ready: true } },
        { addresses: ['10.0.0.2'], conditions: { ready: false, terminating: true } },
        { addresses: ['10.0.0.3'], conditions: {} },
        { addresses: ['fd00::1'] },
      ],
    },
    [
      { host: '10.0.0.1', port: 8443, isReady: true },
      { host: '10.0.0.2', port: 8443, isReady: false },
      { host: '10.0.0.3', port: 8443, isReady: true },
      { host: 'fd00::1', port: 8443, isReady: true },
    ],
  ],
  'the port named https, else the first': [
    { ports: [{ name: 'ops', port: 8080 }, ...ports], endpoints: [{ addresses: ['a'] }] },
    [{ host: 'a', port: 8443, isReady: true }],
  ],
  'a port without a name': [
    { ports: [{ name: '', port: 9443 }], endpoints: [{ addresses: ['a'] }] },
    [{ host: 'a', port: 9443, isReady: true }],
  ],
  'no ports': [{ ports: null, endpoints: [{ addresses: ['a'] }] }, []],
  'no endpoints': [{ ports, endpoints: null }, []],
  'no slice at all': [undefined, []],
}

for (const [name, [slice, endpoints]] of Object.entries(CASES))
  t.test(name, async t => t.strictSame(endpointsOf(slice), endpoints))

t.test('addresses as URLs write them', async t => {
  t.equal(addressOf({ host: '10.0.0.1', port: 8443 }), '10.0.0.1:8443')
  t.equal(addressOf({ host: 'fd00::1', port: 8443 }), '[fd00::1]:8443')
})
