/** What the log says of Pods, and what it never says. */
import t from 'tap'
import { makeOwner, makePod, type PodOverrides } from '../helpers/pods.ts'
import { answerTo, headOf } from '../helpers/raw-requests.ts'
import { makePodReview } from '../helpers/review-app.ts'
import { type ServingProcess, startProcess } from '../helpers/webhook-process.ts'

const RULES = `
- name: to-eci
  objectSelector: { matchLabels: { eci: "true" } }
- name: gpu
  objectSelector: { matchLabels: { gpu: "true" } }
  policy: { fair: {} }
- name: stay
  objectSelector: { matchLabels: { stay: "true" } }
  policy: { normalNodeOnly: {} }
- name: marks
  effect: { annotations: { example.com/mark: "yes" } }
`

/** So that a piece of it is found as well. */
const SECRET = 'hunter2-AKIAIOSFODNN7EXAMPLE-p4ssw0rd'
const secret = (where: string) => `${SECRET}-${where}`

/** A secret in every place where people put them. */
const SECRETIVE: PodOverrides = {
  generateName: 'web-',
  labels: { eci: 'true', token: secret('label').slice(0, 63) },
  annotations: { [`example.com/${secret('key').slice(0, 40)}`]: 'x', password: secret('annotation') },
  ownerReferences: [makeOwner()],
  spec: {
    hostNetwork: true,
    nodeSelector: { pool: secret('node-selector').slice(0, 60) },
    imagePullSecrets: [{ name: secret('pull') }],
    serviceAccountName: secret('account'),
    containers: [
      {
        name: 'app',
        image: `registry.example.com/${secret('image')}:1`,
        command: ['sh', '-c', secret('command')],
        args: [`--token=${secret('args')}`],
        env: [{ name: 'PASSWORD', value: secret('env') }],
        securityContext: { privileged: true },
        ports: [{ containerPort: 80, hostPort: 80, name: secret('port') }],
        volumeMounts: [{ name: 'v', mountPath: `/${secret('mount')}`, subPath: secret('sub') }],
        livenessProbe: { httpGet: { httpHeaders: [{ name: 'x', value: secret('header') }] } },
      },
    ],
    initContainers: [{ name: 'init', image: secret('init') }],
    volumes: [{ name: 'v', hostPath: { path: `/${secret('volume')}` } }],
  },
}

const send = (webhook: ServingProcess, review: object | string) => {
  const body = typeof review === 'string' ? review : JSON.stringify(review)
  return (t: Parameters<typeof answerTo>[0]) => answerTo(t, webhook, headOf(Buffer.byteLength(body)) + body)
}

async function ended({ process }: ServingProcess): Promise<string> {
  process.signal('SIGTERM')
  await process.exited
  return process.stdoutText + process.stderrText
}

t.test('a line for each changed Pod: where, whose, by which rules, and nothing else', async t => {
  const webhook = await startProcess(t, { rules: RULES, args: ['--shutdown-delay', '0'] })
  const reviews: [review: object, line: object][] = [
    [
      makePodReview(
        makePod({ labels: { eci: 'true' }, ownerReferences: [makeOwner('ReplicaSet', 'web-5d4f8')] }),
      ),
      { owner: 'ReplicaSet/web-5d4f8', rules: ['to-eci', 'marks'], policy: 'virtualNodeOnly', route: 'rule' },
    ],
    [
      makePodReview(makePod({ name: 'one', labels: { eci: 'true', gpu: 'true' } }), { namespace: 'team-a' }),
      { namespace: 'team-a', name: 'one', rules: ['to-eci', 'marks'], policy: 'virtualNodeOnly' },
    ],
    [
      makePodReview(makePod({ generateName: 'job-', labels: { gpu: 'true' } })),
      { name: 'job-', rules: ['gpu', 'marks'], policy: 'fair' },
    ],
    [
      makePodReview(makePod({ name: 'dry', labels: { eci: 'true' } }), { dryRun: true }),
      { name: 'dry', dryRun: true },
    ],
    [
      makePodReview(makePod({ name: 'own', spec: { nodeName: 'cn-hangzhou.vnd-1' } })),
      { name: 'own', rules: ['marks'], route: 'bound' },
    ],
  ]
  for (const [review] of reviews) await send(webhook, review)(t)
  await send(webhook, makePodReview(makePod({ name: 'unmatched' })))(t)
  const output = await ended(webhook)
  const lines = webhook.process.log.filter(({ msg }) => msg === 'Pod changed')
  t.match(
    lines,
    reviews.map(([, line]) => ({ level: 'info', namespace: 'default', ...line })),
  )
  t.equal(lines.length, reviews.length)
  for (const line of lines) {
    const known = ['level', 'time', 'msg', 'namespace', 'owner', 'name', 'rules', 'policy', 'route', 'dryRun']
    t.strictSame(
      Object.keys(line).filter(key => !known.includes(key)),
      [],
    )
    t.match(line.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  }
  t.notMatch(output, 'unmatched')
})

t.test('debug says of the others why they stay as they are', async t => {
  const webhook = await startProcess(t, {
    rules: RULES,
    args: ['--shutdown-delay', '0', '--log-level', 'debug'],
  })
  const cases: [pod: PodOverrides, reason: RegExp, change?: object][] = [
    [{}, /no rule schedules it/],
    [{ labels: { stay: 'true' } }, /rule stay matches with policy normalNodeOnly/],
    [{ labels: { eci: 'true' } }, /namespace kube-system is excluded/, { namespace: 'kube-system' }],
    [
      { labels: { eci: 'true', 'vnode-profile.io/skip': 'true' } },
      /it has the label vnode-profile\.io\/skip=true/,
    ],
    [{ ownerReferences: [makeOwner('DaemonSet', 'ds')] }, /belongs to a DaemonSet/],
    [{ annotations: { 'kubernetes.io/config.mirror': 'x' } }, /static Pod/],
    [{ spec: { nodeName: 'real-1' } }, /binds it to the real node real-1/],
    [{ labels: { eci: 'true' }, spec: { nodeSelector: { type: 'gpu' } } }, /type/],
  ]
  for (const [pod, , change] of cases) await send(webhook, makePodReview(makePod(pod), change))(t)
  await ended(webhook)
  const lines = webhook.process.log.filter(({ msg }) => msg === 'Pod left as it is')
  t.match(
    lines,
    cases.map(([, reason]) => ({ level: 'debug', reason })),
  )
})

for (const level of ['debug', 'info']) {
  t.test(`at level ${level}, nothing that is in a Pod is in the output`, async t => {
    const webhook = await startProcess(t, {
      rules: RULES,
      args: ['--shutdown-delay', '0', '--log-level', level],
    })
    const pod = makePod(SECRETIVE)
    const review = makePodReview(pod)
    const { containers } = pod.spec
    const variants: (object | string)[] = [
      review,
      makePodReview({
        ...pod,
        metadata: { ...pod.metadata, labels: { token: secret('label').slice(0, 63) } },
      }),
      makePodReview({
        ...pod,
        spec: { ...pod.spec, nodeSelector: { type: 'gpu' } },
      }),
      // Shapes that are no Pod's: what is wrong is told, not what is there.
      makePodReview({ ...pod, spec: { ...pod.spec, tolerations: secret('tolerations') } }),
      makePodReview({ ...pod, spec: { ...pod.spec, containers: { a: containers } } }),
      makePodReview({ ...pod, spec: secret('spec') }),
      { ...review, apiVersion: secret('version') },
      { ...review, request: { ...review.request, uid: 7 } },
      JSON.stringify(review).slice(0, -1),
      `${JSON.stringify(review)}x`,
      JSON.stringify(review).replace('"spec":', '"spec"'),
    ]
    for (const variant of variants) {
      const { status } = await send(webhook, variant)(t)
      t.ok(status === 200 || status === 400, String(status))
    }
    const metrics = await (await fetch(`${webhook.opsUrl}/metrics`)).text()
    const ready = await (await fetch(`${webhook.opsUrl}/readyz`)).text()
    const output = (await ended(webhook)) + metrics + ready
    t.match(output, 'Pod changed')
    t.match(output, 'a fault of ours')
    t.match(output, 'request refused')
    for (const piece of ['hunter2', 'AKIA', 'p4ssw0rd', 'PASSWORD']) t.notMatch(output, piece)
  })
}

const LEVELS: Readonly<Record<string, readonly string[]>> = {
  debug: ['debug', 'info', 'warn'],
  info: ['info', 'warn'],
  warn: ['warn'],
  error: [],
  silent: [],
}

for (const [level, wanted] of Object.entries(LEVELS)) {
  t.test(`level ${level} has lines of ${wanted.join(', ') || 'nothing'}`, async t => {
    // Its ports cannot be read from a log that is silent.
    const port = await freePort()
    const args = ['--shutdown-delay', '0', '--log-level', level]
    const webhook = await startProcess(t, { rules: RULES, args, ports: [port, await freePort()] })
    await send(webhook, makePodReview(makePod({ labels: { eci: 'true' } })))(t)
    await send(webhook, makePodReview(makePod()))(t)
    await send(webhook, 'no JSON')(t)
    await ended(webhook)
    t.strictSame([...new Set(webhook.process.log.map(({ level }) => level))].sort(), wanted)
  })
}

async function freePort(): Promise<number> {
  const { freePorts } = await import('../helpers/free-ports.ts')
  const [port = 0] = await freePorts(1)
  return port
}
