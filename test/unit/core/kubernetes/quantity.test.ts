import t from 'tap'
import {
  formatCpu,
  formatMemory,
  parseQuantity,
  podRequests,
} from '../../../../src/core/kubernetes/quantity.ts'

const N = 1_000_000_000n
const KI = 1024n * N
const MI = 1024n * KI
const GI = 1024n * MI

/** The same amounts came out of k8s.io/apimachinery 0.34.4. */
const amounts: readonly (readonly [string, unknown, bigint])[] = [
  ['plain', '2', 2n * N],
  ['nano', '1n', 1n],
  ['micro', '1u', 1000n],
  ['milli', '500m', N / 2n],
  ['kilo', '1k', 1000n * N],
  ['mega', '1M', 1_000_000n * N],
  ['giga', '1G', 10n ** 9n * N],
  ['tera', '1T', 10n ** 12n * N],
  ['peta', '1P', 10n ** 15n * N],
  ['exa', '1E', 10n ** 18n * N],
  ['binary kilo', '1Ki', KI],
  ['binary mega', '512Mi', 512n * MI],
  ['binary giga with a fraction', '1.5Gi', (3n * GI) / 2n],
  ['binary tera', '1Ti', 1024n * GI],
  ['binary peta', '1Pi', 1024n ** 2n * GI],
  ['binary exa', '1Ei', 1024n ** 3n * GI],
  ['binary amounts end at the largest int64', '10Ei', (2n ** 63n - 1n) * N],
  ['negative ones too', '-10Ei', -(2n ** 63n - 1n) * N],
  ['decimal ones do not', '100E', 10n ** 20n * N],
  ['exponent', '1e3', 1000n * N],
  ['exponent with an upper-case E', '1E3', 1000n * N],
  ['exponent with a plus', '1e+3', 1000n * N],
  ['negative exponent', '25e-1', (5n * N) / 2n],
  ['fraction', '0.1', N / 10n],
  ['fraction alone', '.5', N / 2n],
  ['point at the end', '1.', N],
  ['point before the suffix', '1.G', 10n ** 9n * N],
  ['leading zeros', '007', 7n * N],
  ['plus sign', '+1', N],
  ['minus sign', '-1.5', (-3n * N) / 2n],
  ['finer than nano rounds up', '0.1n', 1n],
  ['and away from zero', '-1.1n', -2n],
  ['however fine', '1e-300', 1n],
  ['but nothing stays nothing', '0e-300', 0n],
  ['with spaces around', ' 1 ', N],
  ['a JSON number', 0.5, N / 2n],
  ['a JSON number with an exponent', 1e21, 10n ** 21n * N],
  ['a small JSON number', 1e-7, 100n],
]

for (const [name, text, expected] of amounts) {
  t.test(`quantity: ${name}`, async t => {
    t.equal(parseQuantity(text), expected)
  })
}

t.test('an absurd exponent costs nothing and is more than any machine', async t => {
  t.ok((parseQuantity('1e999999999') ?? 0n) > 10n ** 100n)
})

const none = [
  '',
  ' ',
  'Ki',
  '+',
  '.',
  'e3',
  '1Kb',
  '1kk',
  '1e',
  '1e+',
  '1e3.5',
  '1-5',
  '1Mi5',
  '--1',
  '1 Gi',
  '1_000',
  '0x10',
  '１',
  'NaN',
  '9'.repeat(101),
  Number.NaN,
  Number.POSITIVE_INFINITY,
  null,
  undefined,
  true,
  {},
  ['1'],
]

for (const text of none) {
  t.test(`no quantity: ${JSON.stringify(text)}`, async t => {
    t.equal(parseQuantity(text), undefined)
  })
}

t.test('amounts are written for people', async t => {
  const cpus: [bigint, string][] = [
    [0n, '0'],
    [1n, '0.001'],
    [N / 4n, '0.25'],
    [2n * N, '2'],
    [N + N / 4n + 1n, '1.251'],
    [-3n * (N / 2n), '-1.5'],
  ]
  for (const [amount, text] of cpus) t.equal(formatCpu(amount), text)
  const memories: [bigint, string][] = [
    [0n, '0 B'],
    [1023n * N, '1023 B'],
    [KI, '1 KiB'],
    [512n * MI, '512 MiB'],
    [(3n * GI) / 2n, '1.5 GiB'],
    [GI + MI, '1 GiB'],
    [GI + 6n * MI, '1.01 GiB'],
    [2048n * GI, '2 TiB'],
    [5000n * 1024n * GI, '5000 TiB'],
    [-GI, '-1 GiB'],
  ]
  for (const [amount, text] of memories) t.equal(formatMemory(amount), text)
})

type Case = readonly [
  string,
  unknown,
  { cpu?: string; memory?: string; ephemeralStorage?: string; gpu?: string },
]

const requests: readonly Case[] = [
  [
    'containers add up',
    {
      containers: [
        { resources: { requests: { cpu: '500m', memory: '1Gi', 'ephemeral-storage': '10Gi' } } },
        { resources: { requests: { cpu: 1, memory: '512Mi', 'nvidia.com/gpu': '1' } } },
      ],
    },
    { cpu: '1.5', memory: '1.5Gi', ephemeralStorage: '10Gi', gpu: '1' },
  ],
  [
    'a request that is missing is the limit, one that is there is not',
    {
      containers: [
        { resources: { requests: { cpu: '1' }, limits: { cpu: '2', memory: '1Gi', 'nvidia.com/gpu': 2 } } },
      ],
    },
    { cpu: '1', memory: '1Gi', gpu: '2' },
  ],
  [
    'the largest init container counts if it needs more than all containers',
    {
      containers: [{ resources: { requests: { cpu: '1', memory: '1Gi' } } }],
      initContainers: [
        { resources: { requests: { cpu: '3' } } },
        { resources: { requests: { cpu: '2', memory: '1Mi' } } },
      ],
    },
    { cpu: '3', memory: '1Gi' },
  ],
  [
    'a sidecar runs beside the containers and beside the init containers after it, not those before',
    {
      containers: [{ resources: { requests: { cpu: '1' } } }],
      initContainers: [
        { resources: { requests: { cpu: '4' } } },
        { restartPolicy: 'Always', resources: { requests: { cpu: '2', memory: '1Gi' } } },
        { resources: { requests: { cpu: '2500m' } } },
      ],
    },
    { cpu: '4.5', memory: '1Gi' },
  ],
  [
    'sidecars before any other container add up',
    {
      containers: [{}],
      initContainers: [
        { restartPolicy: 'Always', resources: { requests: { cpu: '2' } } },
        { restartPolicy: 'Always', resources: { limits: { cpu: '1' } } },
      ],
    },
    { cpu: '3' },
  ],
  [
    'overhead comes on top',
    {
      containers: [{ resources: { requests: { cpu: '1' } } }],
      overhead: { cpu: '250m', memory: '100Mi', 'ephemeral-storage': '1Gi' },
    },
    { cpu: '1.25', memory: '100Mi', ephemeralStorage: '1Gi' },
  ],
  [
    'the Pod’s own requests outrank its containers',
    {
      containers: [{ resources: { requests: { cpu: '1', memory: '1Gi' } } }],
      resources: { requests: { cpu: '4' }, limits: { memory: '8Gi' } },
    },
    { cpu: '4', memory: '1Gi' },
  ],
  [
    'the Pod’s own limit is the request where nothing else is named',
    {
      containers: [{}],
      resources: { limits: { cpu: '2', memory: '8Gi', 'ephemeral-storage': '5Gi', 'nvidia.com/gpu': '1' } },
    },
    { cpu: '2', memory: '8Gi' },
  ],
  ['no spec needs nothing', undefined, {}],
  ['an array is no spec', [], {}],
  ['containers that are none need nothing', { containers: 'x', initContainers: { 0: {} } }, {}],
  [
    'wrong types anywhere count as nothing',
    {
      containers: [
        null,
        'x',
        [],
        { resources: 'x' },
        { resources: { requests: [], limits: 7 } },
        { resources: { requests: { cpu: {} } } },
      ],
      initContainers: [null, { restartPolicy: 7, resources: { requests: { cpu: 'lots', memory: '1Gi' } } }],
      overhead: 'x',
      resources: [],
    },
    { memory: '1Gi' },
  ],
  [
    'a negative amount is none',
    { containers: [{ resources: { requests: { cpu: '-4' }, limits: { cpu: '2' } } }] },
    { cpu: '2' },
  ],
]

for (const [name, spec, expected] of requests) {
  t.test(`requests: ${name}`, async t => {
    const amount = (text: string | undefined) => parseQuantity(text ?? '0')
    t.same(podRequests(spec), {
      cpu: amount(expected.cpu),
      memory: amount(expected.memory),
      ephemeralStorage: amount(expected.ephemeralStorage),
      gpu: amount(expected.gpu),
    })
  })
}
