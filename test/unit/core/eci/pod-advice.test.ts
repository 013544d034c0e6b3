import t from 'tap'
import { type Advice, podAdvice } from '../../../../src/core/eci/pod-advice.ts'

const eci = (name: string) => `k8s.aliyun.com/${name}`
/** Kept out of the way: these go with every Pod that does not say otherwise. */
const QUIET = { [eci('eci-max-pending-minute')]: '30' }
const SIZED = { resources: { limits: { cpu: '2', memory: '4Gi' } } }

interface Parts {
  readonly annotations?: Record<string, unknown>
  readonly owners?: readonly unknown[]
  readonly spec?: Record<string, unknown>
  /** Merged into the one container. */
  readonly container?: Record<string, unknown>
}

function pod({ annotations = {}, owners = [], spec = {}, container = {} }: Parts = {}): unknown {
  return {
    metadata: { annotations: { ...QUIET, ...annotations }, ownerReferences: owners },
    spec: { containers: [{ name: 'app', ...SIZED, ...container }], ...spec },
  }
}

function brief(advice: readonly Advice[]): string[] {
  return advice.map(({ kind, code, path }) => `${kind} ${code} ${path}`)
}

const volumes = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ name: `v${index}`, emptyDir: {} }))
const limits = (cpu: string, memory: string) => ({ container: { resources: { limits: { cpu, memory } } } })
const spot = (more: Record<string, string> = {}) => ({ [eci('eci-spot-strategy')]: 'SpotAsPriceGo', ...more })
const secured = (securityContext: unknown) => ({ container: { securityContext } })

/** What the Pod has, and all that is said about it. */
const cases: readonly (readonly [string, Parts, readonly string[]])[] = [
  ['nothing special', {}, []],
  ['host network', { spec: { hostNetwork: true } }, ['refused host-network spec.hostNetwork']],
  [
    'host processes and memory',
    { spec: { hostPID: true, hostIPC: true } },
    ['ignored host-pid spec.hostPID', 'ignored host-ipc spec.hostIPC'],
  ],
  ['no host namespaces, plainly', { spec: { hostNetwork: false, hostPID: false, hostIPC: false } }, []],
  [
    'a host port',
    {
      container: {
        ports: [
          { containerPort: 80 },
          { containerPort: 81, hostPort: 81 },
          { containerPort: 82, hostPort: 0 },
        ],
      },
    },
    ['refused host-port spec.containers[0].ports[1].hostPort'],
  ],
  [
    'host ports that come from the host network',
    { spec: { hostNetwork: true }, container: { ports: [{ containerPort: 80, hostPort: 80 }] } },
    ['refused host-network spec.hostNetwork'],
  ],
  [
    'ports that ECI needs',
    {
      container: {
        ports: [
          { containerPort: 111 },
          { containerPort: 10250 },
          { containerPort: 10251 },
          { containerPort: 10255 },
        ],
      },
    },
    [0, 1, 3].map(index => `refused reserved-port spec.containers[0].ports[${index}].containerPort`),
  ],
  [
    'a privileged container',
    secured({ privileged: true }),
    ['refused privileged spec.containers[0].securityContext.privileged'],
  ],
  [
    'one that is plainly not',
    secured({ privileged: false, readOnlyRootFilesystem: false, procMount: 'Default' }),
    [],
  ],
  [
    'a privileged init container',
    { spec: { initContainers: [{}, { securityContext: { privileged: true } }] } },
    ['refused privileged spec.initContainers[1].securityContext.privileged'],
  ],
  [
    'capabilities that ECI grants',
    secured({ capabilities: { add: ['NET_ADMIN', 'CAP_SYS_PTRACE', 'CHOWN'], drop: ['ALL'] } }),
    [],
  ],
  [
    'capabilities that it does not',
    secured({ capabilities: { add: ['SYS_ADMIN', 'NET_ADMIN', 'SYS_TIME'] } }),
    ['refused capability spec.containers[0].securityContext.capabilities.add'],
  ],
  [
    'a read-only root and a bare /proc',
    secured({ readOnlyRootFilesystem: true, procMount: 'Unmasked' }),
    [
      'ignored read-only-root spec.containers[0].securityContext.readOnlyRootFilesystem',
      'ignored proc-mount spec.containers[0].securityContext.procMount',
    ],
  ],
  [
    'sysctls',
    {
      spec: {
        securityContext: {
          sysctls: [
            { name: 'net.core.somaxconn' },
            { name: 'kernel.shm_rmid_forced' },
            { name: 'kernel.msgmax' },
            { name: 'kernel.sem' },
            { name: 'fs.mqueue.msg_max' },
            { name: 'vm.min_free_kbytes' },
            { name: 'net/ipv4/ip_forward' },
            { name: 'net.ipv4.tcp_syncookies' },
            { name: 'vm.max_map_count' },
            { name: 'kernel.semaphore' },
          ],
        },
      },
    },
    [7, 8, 9].map(index => `refused sysctl spec.securityContext.sysctls[${index}].name`),
  ],
  [
    'a host path',
    {
      spec: {
        volumes: [
          { name: 'a', emptyDir: {} },
          { name: 'b', hostPath: { path: '/var' } },
        ],
      },
    },
    ['refused host-path spec.volumes[1].hostPath'],
  ],
  [
    'a host path for a data cache',
    {
      annotations: { [eci('eci-data-cache-bucket')]: 'default' },
      spec: { volumes: [{ name: 'b', hostPath: { path: '/model' } }] },
    },
    [],
  ],
  ['20 volumes', { spec: { volumes: volumes(20) } }, []],
  ['21 volumes', { spec: { volumes: volumes(21) } }, ['refused too-many-volumes spec.volumes']],
  ['20 containers', { spec: { containers: [SIZED, ...Array(19).fill({})] } }, []],
  [
    '21 containers',
    { spec: { containers: [SIZED, ...Array(20).fill({})] } },
    ['refused too-many-containers spec.containers'],
  ],
  ['64 vCPU', limits('64', '128Gi'), []],
  ['more than 64 vCPU', limits('65', '128Gi'), ['refused too-large spec.containers']],
  ['more memory than there is', limits('4', '600Gi'), ['refused too-large spec.containers']],
  [
    'more than 64 vCPU by annotation',
    { annotations: { [eci('eci-use-specs')]: '96-192Gi' } },
    [`refused too-large metadata.annotations[${eci('eci-use-specs')}]`],
  ],
  ['a size in between', limits('3', '4Gi'), ['billed rounded-up spec.containers']],
  ['a size of some regions', limits('6', '12Gi'), ['billed rounded-up spec.containers']],
  ['a size between those of some regions', limits('7', '13Gi'), ['billed rounded-up spec.containers']],
  ['no size at all', { spec: { containers: [{}] } }, ['billed default-size spec.containers']],
  [
    'memory only',
    { container: { resources: { limits: { memory: '512Mi' } } } },
    ['billed rounded-up spec.containers'],
  ],
  [
    'a size by annotation outranks the containers',
    { ...limits('3', '3Gi'), annotations: { [eci('eci-use-specs')]: '2-4Gi,4-8Gi' } },
    [],
  ],
  [
    'a size by annotation is rounded too',
    { annotations: { [eci('eci-use-specs')]: '3-4Gi' } },
    [`billed rounded-up metadata.annotations[${eci('eci-use-specs')}]`],
  ],
  [
    'an ECS type is not rounded',
    { ...limits('3', '3Gi'), annotations: { [eci('eci-use-specs')]: 'ecs.c6.xlarge' } },
    [],
  ],
  [
    'an ECS family is not rounded',
    { ...limits('3', '3Gi'), annotations: { [eci('eci-instance-family')]: 'ecs.c6' } },
    [],
  ],
  [
    'a generation is not rounded',
    { ...limits('3', '3Gi'), annotations: { [eci('eci-instance-generation')]: '6' } },
    [],
  ],
  [
    'a GPU type without a GPU',
    { annotations: { [eci('eci-use-specs')]: 'ecs.gn6i-c4g1.xlarge' } },
    [`refused gpu-request metadata.annotations[${eci('eci-use-specs')}]`],
  ],
  [
    'a GPU type with a GPU',
    {
      annotations: { [eci('eci-use-specs')]: 'ecs.gn6i-c4g1.xlarge' },
      container: { resources: { limits: { 'nvidia.com/gpu': '1' } } },
    },
    [],
  ],
  [
    '30 GiB of temporary storage',
    {
      container: {
        resources: { requests: { 'ephemeral-storage': '30Gi' }, limits: { cpu: '2', memory: '4Gi' } },
      },
    },
    [],
  ],
  [
    'more temporary storage',
    {
      container: {
        resources: { requests: { 'ephemeral-storage': '50Gi' }, limits: { cpu: '2', memory: '4Gi' } },
      },
    },
    ['billed ephemeral-storage spec.containers'],
  ],
  [
    'more temporary storage by annotation',
    { annotations: { [eci('eci-extra-ephemeral-storage')]: '20Gi' } },
    [`billed ephemeral-storage metadata.annotations[${eci('eci-extra-ephemeral-storage')}]`],
  ],
  [
    'no end to pending',
    { annotations: { [eci('eci-max-pending-minute')]: undefined } },
    [`billed pending-billed metadata.annotations[${eci('eci-max-pending-minute')}]`],
  ],
  ['spot', { annotations: spot() }, []],
  [
    'spot of a size by default',
    { annotations: spot(), spec: { containers: [{}] } },
    ['billed default-size spec.containers'],
  ],
  [
    'spot below 2 vCPU',
    { ...limits('1', '2Gi'), annotations: spot() },
    [`refused spot-size metadata.annotations[${eci('eci-spot-strategy')}]`],
  ],
  [
    'spot below 2 vCPU by annotation',
    { annotations: spot({ [eci('eci-use-specs')]: '1-2Gi' }) },
    [`refused spot-size metadata.annotations[${eci('eci-spot-strategy')}]`],
  ],
  [
    'spot of several sizes, one large enough',
    { annotations: spot({ [eci('eci-use-specs')]: '1-2Gi,2-4Gi' }) },
    [],
  ],
  [
    'spot of an ECS type',
    { ...limits('1', '2Gi'), annotations: spot({ [eci('eci-use-specs')]: 'ecs.c6.large' }) },
    [],
  ],
  [
    'spot that is too large anyway',
    { ...limits('65', '2Gi'), annotations: spot() },
    ['refused too-large spec.containers'],
  ],
  ['no spot, plainly', { ...limits('1', '2Gi'), annotations: { [eci('eci-spot-strategy')]: 'NoSpot' } }, []],
  [
    'a spot price without its strategy',
    { annotations: spot({ [eci('eci-spot-price-limit')]: '0.5' }) },
    [`ignored spot-price-unused metadata.annotations[${eci('eci-spot-price-limit')}]`],
  ],
  [
    'a strategy without its price',
    { annotations: { [eci('eci-spot-strategy')]: 'SpotWithPriceLimit' } },
    [`refused spot-price-missing metadata.annotations[${eci('eci-spot-strategy')}]`],
  ],
  [
    'a strategy with its price',
    {
      annotations: { [eci('eci-spot-strategy')]: 'SpotWithPriceLimit', [eci('eci-spot-price-limit')]: '0.5' },
    },
    [],
  ],
  ['a Job of one container', { owners: [{ kind: 'Job' }] }, []],
  [
    'a Job with a sidecar',
    { owners: [{ kind: 'Job' }], spec: { containers: [SIZED, {}] } },
    ['billed job-sidecar spec.containers'],
  ],
  [
    'a Job with a sidecar that says so',
    {
      owners: [null, { kind: 'Job' }],
      spec: {
        containers: [SIZED, { env: [{ name: 'X' }, { name: 'ECI_CONTAINER_TYPE', value: 'sidecar' }] }],
      },
    },
    [],
  ],
  [
    'two containers of a ReplicaSet',
    { owners: [{ kind: 'ReplicaSet' }], spec: { containers: [SIZED, {}] } },
    [],
  ],
  [
    'annotations that are wrong, old, ECI’s own or unheard of, in the order of the Pod',
    {
      annotations: {
        [eci('eci-spot-fallback')]: 'yes',
        'prometheus.io/scrape': 'true',
        [eci('eci-image-cache')]: 'true',
        [eci('eci-instance-id')]: 'eci-1',
        [eci('eci-typo')]: 'x',
      },
    },
    [
      `refused annotation-value metadata.annotations[${eci('eci-spot-fallback')}]`,
      `old-name annotation-old-name metadata.annotations[${eci('eci-image-cache')}]`,
      `ignored annotation-platform metadata.annotations[${eci('eci-instance-id')}]`,
      `ignored annotation-unknown metadata.annotations[${eci('eci-typo')}]`,
    ],
  ],
]

for (const [name, parts, expected] of cases) {
  t.test(`advice: ${name}`, async t => {
    const advice = podAdvice(pod(parts), { everything: true })
    t.same(brief(advice), expected)
    for (const { message } of advice) t.match(message, /^.{20,199}\.$/, message)
  })

  t.test(`for admission only what is refused, and old names: ${name}`, async t => {
    const urgent = expected.filter(line => /^(?:refused|old-name) /.test(line))
    t.same(brief(podAdvice(pod(parts))), urgent)
  })
}

t.test('rounding names the size, and the smaller one of some regions', async t => {
  const message = (cpu: string, memory: string) =>
    podAdvice(pod(limits(cpu, memory)), { everything: true })[0]?.message
  t.equal(message('3', '4Gi'), 'ECI has no size of 3 vCPU and 4 GiB: it bills the next, 4 vCPU and 4 GiB.')
  t.equal(
    message('7', '13Gi'),
    'ECI has no size of 7 vCPU and 13 GiB: it bills 8 vCPU and 14 GiB in some regions, 8 vCPU and 16 GiB elsewhere.',
  )
  t.equal(
    message('6', '12Gi'),
    'Only some regions have 6 vCPU and 12 GiB: elsewhere ECI bills 8 vCPU and 16 GiB.',
  )
})

t.test('storage names what is billed: the larger of both ways to ask for it', async t => {
  const container = { resources: { requests: { 'ephemeral-storage': '50Gi' } } }
  const both = pod({
    container,
    annotations: { [eci('eci-extra-ephemeral-storage')]: '5Gi', [eci('eci-use-specs')]: '2-4Gi' },
  })
  t.equal(
    podAdvice(both, { everything: true })[0]?.message,
    '20 GiB of temporary storage are billed on top of the free 30 GiB.',
  )
})

t.test('annotations of rules count like the Pod’s own, which win', async t => {
  const rules = new Map([
    [eci('eci-spot-strategy'), 'SpotAsPriceGo'],
    [eci('eci-image-cache'), 'true'],
    [eci('eci-data-cache-bucket'), 'default'],
  ])
  const cached = pod({
    ...limits('1', '2Gi'),
    spec: { volumes: [{ hostPath: { path: '/m' } }], containers: [{ resources: { limits: { cpu: '1' } } }] },
  })
  t.same(brief(podAdvice(cached, { annotations: rules })), [
    `refused spot-size metadata.annotations[${eci('eci-spot-strategy')}]`,
    `old-name annotation-old-name metadata.annotations[${eci('eci-image-cache')}]`,
  ])
  const own = pod({
    ...limits('1', '2Gi'),
    annotations: { [eci('eci-spot-strategy')]: 'NoSpot', [eci('eci-image-cache')]: 'false' },
  })
  t.same(
    brief(podAdvice(own, { annotations: rules })),
    [`old-name annotation-old-name metadata.annotations[${eci('eci-image-cache')}]`],
    'each key once',
  )
})

t.test('an over-long message is cut to fit an admission warning', async t => {
  const name = `${'x'.repeat(80)}`
  const [sysctl] = podAdvice(pod({ spec: { securityContext: { sysctls: [{ name }] } } }))
  const [capability] = podAdvice(pod(secured({ capabilities: { add: Array(50).fill('SYS_ADMIN') } })))
  const [size] = podAdvice(pod(limits('9'.repeat(90), '9'.repeat(90))))
  for (const advice of [sysctl, capability, size])
    t.ok((advice?.message.length ?? 999) < 200, advice?.message ?? 'no advice')
  t.match(size?.message, /…$/)
})

const JUNK: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  '',
  'x',
  '1Gi',
  [],
  [null],
  {},
  { a: 1 },
  [[]],
  '64',
  JSON.parse('{"__proto__": 1}'),
]

/** Every value of the object, one after the other and at any depth, replaced by something else. */
function* spoiled(value: unknown): Generator<unknown> {
  yield* JUNK
  if (typeof value !== 'object' || value === null) return
  for (const [key, inner] of Object.entries(value)) {
    for (const other of spoiled(inner)) {
      yield Array.isArray(value) ? Object.assign([...value], { [key]: other }) : { ...value, [key]: other }
    }
  }
}

t.test('a Pod of any shape is survived, with the same answer each time', async t => {
  const full = {
    metadata: {
      annotations: {
        [eci('eci-use-specs')]: 'ecs.gn6i-c4g1.xlarge',
        [eci('eci-spot-strategy')]: 'SpotAsPriceGo',
      },
      ownerReferences: [{ kind: 'Job' }],
    },
    spec: {
      hostNetwork: true,
      securityContext: { sysctls: [{ name: 'vm.x' }] },
      volumes: [{ hostPath: { path: '/x' } }],
      overhead: { cpu: '1' },
      resources: { limits: { cpu: '1' } },
      initContainers: [{ restartPolicy: 'Always' }],
      containers: [
        {
          env: [{ name: 'ECI_CONTAINER_TYPE', value: 'normal' }],
          ports: [{ containerPort: 111, hostPort: 1 }],
          resources: { limits: { cpu: '1', memory: '1Gi' }, requests: { 'ephemeral-storage': '50Gi' } },
          securityContext: { privileged: true, procMount: 'x', capabilities: { add: ['SYS_ADMIN'] } },
        },
        {},
      ],
    },
  }
  let tried = 0
  for (const shape of spoiled(full)) {
    for (const everything of [true, false]) {
      const advice = podAdvice(shape, { everything })
      if (advice.some(({ message }) => message.length >= 200)) t.fail(JSON.stringify(shape))
      if (JSON.stringify(podAdvice(shape, { everything })) !== JSON.stringify(advice))
        t.fail(JSON.stringify(shape))
      tried += 1
    }
  }
  t.ok(tried > 1000, `${tried} shapes`)
})
