import t from 'tap'
import {
  annotationAdvice,
  isPlatformKey,
  isPowerKey,
  KNOWN_ANNOTATIONS,
} from '../../../../src/core/eci/annotations.ts'

const eci = (name: string) => `k8s.aliyun.com/${name}`

/** Name, values that the vendor's pages show or allow, values that no page allows. */
const values: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  [
    'eci-use-specs',
    [
      '2-4Gi',
      '0.25-0.5Gi',
      '2-4Gi,4-8Gi,ecs.c6.xlarge',
      '2-4Gi, 4-8Gi',
      'ecs.gn6i-c4g1.xlarge,ecs.sgn7i-vws-m2.xlarge',
    ],
    [
      '',
      '2-4',
      '2-4Gi,',
      '2c4g',
      'ecs.c6',
      'c6.xlarge',
      '1-2Gi,2-4Gi,3-4Gi,4-8Gi,8-16Gi,1-4Gi',
      'ecs.gn6i-c4g1.xlarge,2-4Gi',
      `${'9'.repeat(101)}-4Gi`,
    ],
  ],
  ['eci-instance-family', ['ecs.c6,ecs.g6', '-ecs.c6, -ecs.c5'], ['c6', 'ecs.c6;ecs.g6', '']],
  ['eci-instance-generation', ['6,5', '-5,-4'], ['six', '6;5']],
  ['eci-compute-category', ['economy', 'general', 'economy,general'], ['cheap', '']],
  ['eci-gpu-driver-version', ['tesla=535', 'tesla=525.85.12'], ['535', '']],
  ['eci-cpu-option-core', ['2'], ['two', '0']],
  ['eci-spot-strategy', ['SpotAsPriceGo', 'SpotWithPriceLimit', 'NoSpot'], ['spotaspricego', 'true']],
  ['eci-spot-price-limit', ['0.5', '1', '0.125'], ['0.1234', '-1', '.5', 'free']],
  ['eci-spot-duration', ['0', '1'], ['2', '-1']],
  ['eci-spot-fallback', ['true', 'false'], ['True', 'yes', '1', '']],
  ['eci-privatepool-matchcriteria', ['Open', 'Target'], ['open']],
  ['eci-privatepool-id', ['eap-2ze1g68k2melxkkl'], ['', ' ']],
  ['eci-schedule-strategy', ['VSwitchOrdered', 'vSwitchRandom'], ['Ordered']],
  ['eci-ipv6-bandwidth', ['100M', '100'], ['100Mbps']],
  ['eci-private-ip-address', ['172.16.0.1'], ['172.16.0', '::1']],
  ['eci-fixed-ip-retain-hour', ['24'], ['0', '24h']],
  [
    'eci-custom-dnsconfig',
    ['{"nameservers":"10.0.0.1","options":"ndots:2"}'],
    ['[]', 'null', '"x"', '{', ''],
  ],
  ['eci-custom-hosts', ['[{"host":"example.com","ip":"10.0.0.1"}]'], ['{}', 'x']],
  ['eci-host-sysctls', ['[]'], ['7']],
  ['imc-match-count-request', ['2'], ['0', '-1', '1.5']],
  ['eci-imc-id', ['imc-2zebxkiifuyzzlhl'], ['2zeb']],
  ['acr-instance-ids', ['cri-j36zhodptmyq', 'cn-beijing:cri-j36z,cri-a'], ['j36z']],
  ['acr-service-arns', ['acs:ram::160998252:role/role-assume'], ['role-assume']],
  ['plain-http-registry', ['harbor.pre.com,192.168.1.1:5000'], ['']],
  ['eci-max-pending-minute', ['10', '30', '1440'], ['9', '1441', '30m', '', '010000000000000000']],
  ['eci-fail-strategy', ['fail-back', 'fail-over', 'fail-fast'], ['retry']],
  ['eci-extra-ephemeral-storage', ['50Gi'], ['0', '-5Gi', 'lots']],
  ['eci-ephemeral-storage-options', ['{"encrypted":"true"}'], ['true']],
  ['eci-custom-tags', ['env:test,name:alice', 'a:b'], ['a:b,c:d,e:f,g:h', 'env', 'env:']],
  ['eci-core-pattern', ['/pod/data/dump/core'], ['core']],
  ['eci-data-cache-pl', ['PL0', 'PL1'], ['pl1', 'PL4']],
  ['eci-data-cache-provisionedIops', ['0', '40000'], ['50001']],
  ['eci-resource-group-id', ['rg-acfmzvwytch'], ['default']],
  ['eci-ram-role-name', ['AliyunECIContainerGroupRole'], ['a b', '', 'acs:ram::1:role/x']],
  [
    'eci-security-group',
    ['sg-bp1dktddjsg5nktv', 'sg-1,sg-2,sg-3,sg-4,sg-5'],
    ['sg-1,sg-2,sg-3,sg-4,sg-5,sg-6', 'default', 'sg-1;sg-2'],
  ],
  ['eci-vswitch', ['vsw-bp1xpiowfm5vo8o3c,vsw-2'], ['bp1']],
  ['eci-with-eip', ['true'], ['yes']],
  ['eci-eip-instanceid', ['eip-bp1q5n8cq4p7f6dzu'], ['47.99.0.1']],
  ['eip-bandwidth', ['5'], ['5M', '0']],
  ['eip-isp', ['BGP', 'BGP_PRO'], ['bgp']],
  ['eip-internet-charge-type', ['PayByBandwidth', 'PayByTraffic'], ['free']],
  ['eip-common-bandwidth-package-id', ['cbwp-2zeukbj916scmj51m'], ['x']],
  ['eip-public-ip-address-pool-id', ['pippool-bp187arfugi543y1s'], ['x']],
]

for (const [name, good, bad] of values) {
  for (const value of good) {
    t.test(`${name} may be ${JSON.stringify(value)}`, async t => {
      t.equal(annotationAdvice(eci(name), value), undefined)
    })
  }
  for (const value of bad) {
    t.test(`${name} may not be ${JSON.stringify(value).slice(0, 50)}`, async t => {
      const advice = annotationAdvice(eci(name), value)
      t.equal(advice?.code, 'annotation-value')
      t.match(advice?.message, new RegExp(`^k8s.aliyun.com/${name} is ".*; it must be .+\\.$`))
    })
  }
}

t.test('every message fits into an admission warning, whatever the value', async t => {
  const values = ['x'.repeat(1000), '\u0000'.repeat(100), '', '"'.repeat(99)]
  for (const key of KNOWN_ANNOTATIONS.keys()) {
    for (const value of values) t.ok((annotationAdvice(key, value)?.message.length ?? 0) < 200, key)
  }
  t.ok((annotationAdvice(eci('x'.repeat(300)), '')?.message.length ?? 0) < 200)
  t.ok((annotationAdvice(eci(`allocated-${'x'.repeat(300)}`), '')?.message.length ?? 0) < 200)
})

t.test('the two bandwidth annotations of Kubernetes are known too', async t => {
  for (const key of ['kubernetes.io/ingress-bandwidth', 'kubernetes.io/egress-bandwidth']) {
    t.equal(annotationAdvice(key, '40M'), undefined)
    t.equal(annotationAdvice(key, '40 Mbit')?.code, 'annotation-value')
    t.equal(annotationAdvice(key, '999')?.code, 'annotation-value', 'the kubelet refuses less than 1k')
  }
})

const old: readonly (readonly [string, string])[] = [
  ['eci-image-cache', 'eci-auto-imc'],
  ['eci-image-snapshot-id', 'eci-imc-id'],
  ['acr-instance-id', 'acr-instance-ids'],
  ['eci-instance-type', 'eci-use-specs'],
  ['eci-cpu', 'eci-use-specs'],
  ['eci-memory', 'eci-use-specs'],
]
for (const [name, instead] of old) {
  t.test(`${name} is the old name of ${instead}, which is known`, async t => {
    const advice = annotationAdvice(eci(name), 'anything')
    t.equal(advice?.code, 'annotation-old-name')
    t.match(advice?.message, `use ${eci(instead)}`)
  })
}

t.test('every old name leads to one that is a setting', async t => {
  for (const { kind, instead } of KNOWN_ANNOTATIONS.values()) {
    if (kind === 'old') t.equal(KNOWN_ANNOTATIONS.get(instead ?? '')?.kind, 'setting')
  }
})

t.test('what ECI writes itself is not to be set', async t => {
  for (const name of [
    'eci-request-id',
    'eci-instance-id',
    'eci-vpc',
    'allocated-eipAddress',
    'allocated-whatever',
  ]) {
    t.equal(isPlatformKey(eci(name)), true, name)
    t.equal(annotationAdvice(eci(name), 'x')?.code, 'annotation-platform', name)
  }
  for (const key of [
    'allocated-x',
    eci('eci-use-specs'),
    eci('eci-image-cache'),
    'kubernetes.io/ingress-bandwidth',
    'constructor',
  ]) {
    t.equal(isPlatformKey(key), false, key)
  }
})

t.test(
  'an annotation under the prefix that no page knows is reported, others are not ours to judge',
  async t => {
    t.equal(annotationAdvice(eci('eci-use-spec'), '2-4Gi')?.code, 'annotation-unknown')
    t.match(annotationAdvice(eci('constructor'), 'x')?.code, 'annotation-unknown')
    for (const key of [
      'constructor',
      'toString',
      '__proto__',
      'app',
      'example.com/eci-use-specs',
      'k8s.aliyun.com',
    ]) {
      t.equal(annotationAdvice(key, 'x'), undefined, key)
    }
  },
)

t.test('roles, networks and public addresses are powers, other settings are not', async t => {
  const powers = [
    'eci-ram-role-name',
    'eci-security-group',
    'eci-vswitch',
    'eci-with-eip',
    'eci-eip-instanceid',
    'eip-bandwidth',
    'eip-anything',
  ]
  for (const name of powers) t.equal(isPowerKey(eci(name)), true, name)
  const others = [
    eci('eci-use-specs'),
    eci('allocated-eipAddress'),
    eci('unheard-of'),
    'eip-bandwidth',
    'constructor',
    'kubernetes.io/egress-bandwidth',
  ]
  for (const key of others) t.equal(isPowerKey(key), false, key)
})
