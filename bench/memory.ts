import { setTimeout as sleep } from 'node:timers/promises'
import { RULES_CONFIGMAP, RULES_NAMESPACE } from '../src/core/names.ts'
import { DEFAULT_SETTINGS } from '../src/core/settings.ts'
import { type ControlPlane, startControlPlane } from '../test/helpers/control-plane.ts'
import { MissingProgramsError } from '../test/helpers/kube-programs.ts'
import { type Memory, memoryOf } from '../test/helpers/process-memory.ts'
import { grantWebhookRights } from '../test/helpers/webhook-rights.ts'
import { isReady, spawnWebhook, type Webhook } from './contestants.ts'
import { type Context, fileIn } from './context.ts'
import { CONNECTIONS } from './duel.ts'
import { Load } from './load.ts'
import { cpuSeconds } from './programs.ts'
import { number, type Section, verdict, withoutPaths } from './report.ts'
import { configMapText, ruleList } from './rule-lists.ts'
import { spreadOf } from './statistics.ts'

/** Design, section 10. */
const AIMS = { megabytes: 110, seconds: 1 }
const STARTS = 7
const LOAD_MS = 5000
/** Long enough for the garbage of starting to be collected, as far as Node bothers. */
const REST_MS = 3000
/** Each look costs the webhook a handshake with itself, and the memory for it. */
const LOOK_MS = 15
const LONGEST_START_MS = 20_000

interface Footprint {
  readonly name: string
  /** From the spawn to the first 200 of /readyz, of each start. */
  readonly seconds: readonly number[]
  readonly cpu: number
  readonly idle: Memory
  readonly loaded: Memory
}

/** Part 3: what a webhook takes that nobody asks anything, and how soon it can be asked. */
export async function measureMemory(context: Context): Promise<Section[]> {
  const rules = await fileIn(context, 'few-rules.json', configMapText(ruleList(10)))
  const found = [await measure(context, 'rules from files', ['--rules', rules])]
  const notes: string[] = []
  try {
    found.push(await measureInCluster(context))
  } catch (error) {
    if (!(error instanceof MissingProgramsError)) throw error
    notes.push(`with rules from the cluster: skipped: ${withoutPaths(error.message)}`)
  }
  return [section(found, notes)]
}

async function measureInCluster(context: Context): Promise<Footprint> {
  const controlPlane = await startControlPlane()
  try {
    const kubeconfig = await prepareCluster(controlPlane)
    return await measure(context, 'rules from the cluster', ['--kubeconfig', kubeconfig])
  } finally {
    await controlPlane.stop()
  }
}

/** The rules as a ConfigMap, and somebody with the rights of the webhook. */
export async function prepareCluster(controlPlane: ControlPlane): Promise<string> {
  const user = 'vnode-webhook'
  const { installNamespace } = DEFAULT_SETTINGS
  await grantWebhookRights(controlPlane, {
    user,
    installNamespace,
    rulesNamespace: RULES_NAMESPACE,
    rulesName: RULES_CONFIGMAP,
  })
  const body = { metadata: { name: RULES_CONFIGMAP }, data: { selectors: configMapText(ruleList(10)) } }
  await controlPlane.ask('POST', `/api/v1/namespaces/${RULES_NAMESPACE}/configmaps`, { body })
  return await controlPlane.kubeconfig({ user })
}

async function measure(context: Context, name: string, args: readonly string[]): Promise<Footprint> {
  const seconds: number[] = []
  for (let start = 1; start < STARTS; start += 1) {
    const { webhook, took } = await startTimed(context, name, args)
    seconds.push(took)
    await webhook.child.stop()
  }
  const { webhook, took } = await startTimed(context, name, args)
  const cpu = cpuSeconds(webhook.child.pid)
  await sleep(REST_MS)
  const idle = memoryOf(webhook.child.pid)
  const load = new Load()
  const order = { port: webhook.port, ca: context.ca, path: '/mutate/pods', body: context.review }
  await load.run({ ...order, connections: CONNECTIONS, milliseconds: LOAD_MS })
  const loaded = memoryOf(webhook.child.pid)
  await Promise.all([load.stop(), webhook.child.stop()])
  context.say(
    `  ${name}: ${took.toFixed(2)} s, ${idle.resident.toFixed(0)} MiB idle, ${loaded.resident.toFixed(0)} MiB loaded`,
  )
  return { name, seconds: [...seconds, took], cpu, idle, loaded }
}

async function startTimed(
  context: Context,
  name: string,
  args: readonly string[],
): Promise<{ webhook: Webhook; took: number }> {
  const started = performance.now()
  const webhook = await spawnWebhook(context, name.replaceAll(' ', '-'), args)
  while (!(await isReady(webhook.opsPort).catch(() => false))) {
    const isLate = performance.now() - started > LONGEST_START_MS
    if (isLate || !webhook.child.isRunning) {
      await webhook.child.stop()
      throw new Error(`the webhook with ${name} does not become ready: ${webhook.child.logEnd()}`)
    }
    await sleep(LOOK_MS)
  }
  return { webhook, took: (performance.now() - started) / 1000 }
}

function section(found: readonly Footprint[], notes: readonly string[]): Section {
  return {
    title: 'Memory and start-up',
    method: `The bundle, 10 rules. Ready: from the spawn to the first 200 of /readyz, ${STARTS} starts. Idle: ${REST_MS / 1000} s after that; loaded: after ${LOAD_MS / 1000} s of the load of the first part. Own: without what is mapped from files, mostly Node's executable, which processes share.`,
    table: {
      head: [
        'mode',
        'ready s, median',
        'least',
        'CPU s to ready',
        'RSS MiB idle',
        'own',
        'RSS MiB loaded',
        'own',
      ],
      rows: found.map(({ name, seconds, cpu, idle, loaded }) => [
        name,
        number(spreadOf(seconds).median, 2),
        number(Math.min(...seconds), 2),
        number(cpu, 2),
        number(idle.resident),
        number(idle.own),
        number(loaded.resident),
        number(loaded.own),
      ]),
    },
    notes: [
      ...found.map(
        ({ name, seconds, idle }) =>
          `${name}: ready ${verdict(Math.min(...seconds) < AIMS.seconds, `under ${AIMS.seconds} s`)}, idle ${verdict(idle.resident < AIMS.megabytes, `under ${AIMS.megabytes} MiB`)}`,
      ),
      ...notes,
    ],
  }
}
