import { setTimeout as sleep } from 'node:timers/promises'
import { type ControlPlane, startControlPlane } from '../test/helpers/control-plane.ts'
import { MissingProgramsError } from '../test/helpers/kube-programs.ts'
import { type Contestant, startFixed, startWebhook } from './contestants.ts'
import { type Context, fileIn } from './context.ts'
import { PATCH_FILE } from './fixed-answer.ts'
import { number, type Section, skipped, spread } from './report.ts'
import { answerTo, patchIn, podOf } from './review.ts'
import { configMapText, ruleList } from './rule-lists.ts'
import { quantile, ratios, spreadOf } from './statistics.ts'

const TITLE = 'Creating Pods through an apiserver'
const CREATORS = 8
/** Pods of one round and one namespace, by all creators together. */
const PODS = 160
const WARM_UP_PODS = 400
const KINDS = ['dry run', 'real'] as const
const PATCHED = 'billing.example.com/unit'

/** A namespace whose Pods one of the servers gets, or none. */
interface Lane {
  readonly name: string
  readonly namespace: string
  readonly contestant?: Contestant
}

interface Timings {
  readonly name: string
  readonly kind: (typeof KINDS)[number]
  readonly p50: number[]
  readonly p99: number[]
}

/** Part 4: what creating a Pod takes longer where a webhook is asked. */
export async function measureApiserver(context: Context): Promise<Section[]> {
  try {
    const controlPlane = await startControlPlane()
    try {
      return [await measureCreations(context, controlPlane)]
    } finally {
      await controlPlane.stop()
    }
  } catch (error) {
    if (!(error instanceof MissingProgramsError)) throw error
    return [skipped(TITLE, error)]
  }
}

async function measureCreations(context: Context, controlPlane: ControlPlane): Promise<Section> {
  const rules = configMapText(ruleList(1))
  await fileIn(context, PATCH_FILE, patchIn(answerTo(context.review, rules)))
  const rulesFile = await fileIn(context, 'one-rule.json', rules)
  const bare = await startFixed(context, 'bare webhook', 'bare-server.ts')
  const ours = await startWebhook(context, 'vnode webhook', ['--rules', rulesFile])
  const lanes: Lane[] = [
    { name: 'no webhook', namespace: 'bench-none' },
    { name: bare.name, namespace: 'bench-bare', contestant: bare },
    { name: ours.name, namespace: 'bench-ours', contestant: ours },
  ]
  try {
    for (const lane of lanes) await openLane(context, controlPlane, lane)
    return section(await time(context, controlPlane, lanes), controlPlane, context)
  } finally {
    await Promise.all([bare.child.stop(), ours.child.stop()])
  }
}

/** Makes the namespace, registers its webhook, and waits until that is called. */
async function openLane({ ca, review }: Context, controlPlane: ControlPlane, lane: Lane): Promise<void> {
  const { namespace, contestant } = lane
  await controlPlane.ask('POST', '/api/v1/namespaces', {
    body: { metadata: { name: namespace, labels: { bench: namespace } } },
  })
  await controlPlane.ask('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, {
    body: { metadata: { name: 'default' } },
  })
  if (contestant === undefined) return
  await controlPlane.ask('POST', '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations', {
    body: { metadata: { name: namespace }, webhooks: [registration(lane, contestant, ca)] },
  })
  const deadline = performance.now() + 15_000
  while (!(await isPatched(controlPlane, namespace, podOf(review)))) {
    if (performance.now() > deadline) throw new Error(`the apiserver does not call the ${lane.name}`)
    await sleep(50)
  }
}

function registration({ namespace }: Lane, { port }: Contestant, ca: string): object {
  return {
    name: `${namespace}.vnode-profile.io`,
    clientConfig: {
      url: `https://127.0.0.1:${port}/mutate/pods`,
      caBundle: Buffer.from(ca).toString('base64'),
    },
    rules: [{ apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], operations: ['CREATE'] }],
    namespaceSelector: { matchLabels: { bench: namespace } },
    failurePolicy: 'Fail',
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    timeoutSeconds: 5,
  }
}

async function isPatched(controlPlane: ControlPlane, namespace: string, pod: object): Promise<boolean> {
  const { metadata } = await controlPlane.ask('POST', `/api/v1/namespaces/${namespace}/pods?dryRun=All`, {
    body: pod,
  })
  return metadata.labels?.[PATCHED] !== undefined
}

async function time(
  context: Context,
  controlPlane: ControlPlane,
  lanes: readonly Lane[],
): Promise<Timings[]> {
  const body = JSON.stringify(podOf(context.review))
  const all = KINDS.flatMap(kind =>
    lanes.map(lane => ({ lane, timings: { name: lane.name, kind, p50: [], p99: [] } as Timings })),
  )
  for (const { lane } of all) await create(controlPlane, lane, { body, kind: 'dry run', count: WARM_UP_PODS })
  const rounds = roundsOf(context)
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < all.length; turn += 1) {
      const next = all[(round + turn) % all.length]
      if (next === undefined) continue
      const { lane, timings } = next
      const taken = await create(controlPlane, lane, { body, kind: timings.kind, count: PODS })
      timings.p50.push(quantile(taken, 0.5))
      timings.p99.push(quantile(taken, 0.99))
    }
    context.say(`  round ${round + 1} of ${rounds}`)
  }
  return all.map(one => one.timings)
}

function roundsOf({ rounds }: Context): number {
  return Math.ceil(rounds / 2)
}

interface Creation {
  readonly body: string
  readonly kind: Timings['kind']
  readonly count: number
}

/** Creates so many Pods, some at a time, and gives how long each took in milliseconds. */
async function create(
  controlPlane: ControlPlane,
  { namespace }: Lane,
  { body, kind, count }: Creation,
): Promise<number[]> {
  const path = `/api/v1/namespaces/${namespace}/pods${kind === 'dry run' ? '?dryRun=All' : ''}`
  const taken: number[] = []
  let left = count
  const creator = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      const started = performance.now()
      await controlPlane.ask('POST', path, { body })
      taken.push(performance.now() - started)
    }
  }
  await Promise.all(Array.from({ length: CREATORS }, creator))
  return taken
}

function section(found: readonly Timings[], { version }: ControlPlane, context: Context): Section {
  const rows = found.map(({ name, kind, p50, p99 }) => {
    const [none, bare] = found.filter(one => one.kind === kind)
    return [
      `${name}, ${kind}`,
      number(spreadOf(p50).median, 2),
      number(spreadOf(p99).median, 2),
      spread(ratios(p50, none?.p50 ?? [])),
      spread(ratios(p50, bare?.p50 ?? [])),
    ]
  })
  return {
    title: TITLE,
    method: `Kubernetes ${version}, etcd, webhooks and ${CREATORS} concurrent creators on the same cores; ${roundsOf(context)} interleaved rounds of ${PODS} Pods each. Each webhook is registered for a namespace of its own; both answer with the same patch.`,
    table: { head: ['server', 'p50 ms', 'p99 ms', 'p50 to no webhook', 'p50 to bare'], rows },
    notes: [],
  }
}
