import t from 'tap'
import { addressOf, endpointsOf, endpointsOfEndpoints } from '../../../../src/core/registration/endpoints.ts'

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

const OLD: Readonly<Record<string, readonly [endpoints: unknown, found: readonly object[]]>> = {
  'ready and not ready, of each set of ports': [
    {
      subsets: [
        {
          ports: [{ name: 'ops', port: 8080 }, ...ports],
          addresses: [{ ip: '10.0.0.1', nodeName: 'a' }],
          notReadyAddresses: [{ ip: '10.0.0.2' }],
        },
        { ports: [{ name: 'https', port: 9443 }], addresses: [{ ip: 'fd00::1' }] },
      ],
    },
    [
      { host: '10.0.0.1', port: 8443, isReady: true },
      { host: '10.0.0.2', port: 8443, isReady: false },
      { host: 'fd00::1', port: 9443, isReady: true },
    ],
  ],
  'nobody yet': [{ metadata: {} }, []],
  'addresses without a port': [{ subsets: [{ addresses: [{ ip: '10.0.0.1' }] }] }, []],
  'an address without an IP': [{ subsets: [{ ports, addresses: [{ hostname: 'a' }] }] }, []],
  'no object at all': [undefined, []],
}

for (const [name, [endpoints, found]] of Object.entries(OLD))
  t.test(`of an Endpoints object: ${name}`, async t => t.strictSame(endpointsOfEndpoints(endpoints), found))

t.test('addresses as URLs write them', async t => {
  t.equal(addressOf({ host: '10.0.0.1', port: 8443 }), '10.0.0.1:8443')
  t.equal(addressOf({ host: 'fd00::1', port: 8443 }), '[fd00::1]:8443')
})
