/** Thousands of wrong reviews over the wire, to a process with little memory: it outlives them, and each is answered and counted once. */
import { Agent, request } from 'node:https'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { FUZZ_RULES, wrongReviews } from '../helpers/fuzz-corpus.ts'
import { Samples } from '../helpers/prometheus.ts'
import { answerTo, REVIEW } from '../helpers/raw-requests.ts'
import { PODS, RULES } from '../helpers/review-app.ts'
import { type ServingProcess, startProcess } from '../helpers/webhook-process.ts'

const COUNT = 3000
const CLIENTS = 8
/** Of V8's heap, in MB: a few huge bodies at a time fit in, but nothing that stays. */
const HEAP = 128
const MB = 2 ** 20

interface Answer {
  readonly status: number | undefined
  readonly text: string
}

function sender({ port, caPem }: ServingProcess, path = PODS): (body: Buffer) => Promise<Answer> {
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS, ca: caPem, servername: 'localhost' })
  t.teardown(() => agent.destroy())
  return body =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': body.length }
      const sent = request({ host: '127.0.0.1', port, path, method: 'POST', agent, headers }, response => {
        text(response).then(text => resolve({ status: response.statusCode, text }), reject)
      })
      sent.on('error', reject)
      sent.end(body)
    })
}

/** Now and then between the others: what is huge. */
function hugeReview(index: number): Buffer {
  const size = 6 * MB
  const huge = [
    `"${'x'.repeat(size)}"`,
    `[${'1,'.repeat(size / 2)}1]`,
    '['.repeat(size),
    `{"a":${'{"a":'.repeat(500)}1`,
  ]
  return Buffer.from(REVIEW.replace('"localhost/app:1"', huge[index % huge.length] ?? ''))
}

t.test(`${COUNT} wrong reviews, every fiftieth of them huge`, async t => {
  const webhook = await startProcess(t, {
    rules: JSON.stringify(FUZZ_RULES),
    nodeArgs: [`--max-old-space-size=${HEAP}`],
    args: ['--shutdown-delay', '0', '--log-level', 'error'],
    ports: await freePorts(),
  })
  const send = sender(webhook)
  const statuses = new Map<number | undefined, number>()
  const bodies = wrongReviews(20_260_106, COUNT)
  let index = 0
  const work = async () => {
    for (const ordinary of bodies) {
      index += 1
      const { status, text } = await send(index % 50 === 0 ? hugeReview(index / 50) : ordinary)
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      const isClear =
        status === 200 ? /"allowed":true/.test(text) : status === 400 && /"message":"/.test(text)
      if (!isClear) t.fail(`${status} ${text.slice(0, 300)}`)
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, work))
  t.comment(Object.fromEntries(statuses))
  t.equal(index, COUNT)
  t.match(await answerTo(t, webhook), { status: 200 }, 'and a good one is answered')
  const samples = new Samples(await (await fetch(`${webhook.opsUrl}/metrics`)).text())
  const reviews = samples.sum('vnode_profile_admissions_total') ?? 0
  const others = samples.sum('vnode_profile_bad_requests_total') ?? 0
  t.equal(reviews + others, COUNT + 1, 'each is counted once')
  t.comment(`${Math.round((samples.sum('process_resident_memory_bytes') ?? 0) / MB)} MB resident`)
  webhook.process.signal('SIGTERM')
  t.strictSame(await webhook.process.exited, { status: 0, signal: null })
  t.equal(webhook.process.stderrText, '')
})

/** Each would fill the memory of whoever reads all of it before he says what is wrong. */
const LARGE_RULES: Record<string, string> = {
  'list signs': '-\n'.repeat(MB / 2),
  'more list signs than a ConfigMap holds': '-\n'.repeat(2 * MB),
  documents: '---\n'.repeat(MB / 4),
  brackets: ']'.repeat(MB - 1),
  'opening brackets': '['.repeat(MB - 1),
  'rules in YAML': '- {name: a, objectSelector: {matchLabels: {a: b}}}\n'.repeat(20_000),
  'rules with a field that is none': JSON.stringify(
    Array.from({ length: 15_000 }, (_, index) => ({ name: `r${index}`, objectSelector: {}, polisy: 1 })),
  ),
  'no rules at all': `[${'0,'.repeat(MB / 2 - 2)}0]`,
}

t.test('edits of the rules with a megabyte of what is wrong', async t => {
  const webhook = await startProcess(t, {
    nodeArgs: [`--max-old-space-size=${HEAP}`],
    args: ['--shutdown-delay', '0', '--log-level', 'error'],
    ports: await freePorts(),
  })
  const send = sender(webhook, RULES)
  const review = (text: string) =>
    JSON.stringify({
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      request: {
        uid: 'u1',
        operation: 'CREATE',
        resource: { group: '', version: 'v1', resource: 'configmaps' },
        namespace: 'kube-system',
        name: 'eci-profile',
        object: { metadata: { name: 'eci-profile' }, data: { selectors: text } },
      },
    })
  const sent = Object.entries(LARGE_RULES)
  for (const [what, rules] of sent) {
    const { status, text } = await send(Buffer.from(review(rules)))
    t.equal(status, 200, what)
    t.match(text, /"uid":"u1","allowed":false.*data\.selectors is not applied: /, what)
  }
  t.match(await answerTo(t, webhook), { status: 200 }, 'and a Pod is answered')
  const samples = new Samples(await (await fetch(`${webhook.opsUrl}/metrics`)).text())
  t.equal(
    samples.sum('vnode_profile_admissions_total', { resource: 'rules', outcome: 'refused' }),
    sent.length,
  )
  webhook.process.signal('SIGTERM')
  t.strictSame(await webhook.process.exited, { status: 0, signal: null })
  t.equal(webhook.process.stderrText, '')
})

async function freePorts(): Promise<[number, number]> {
  const { freePorts } = await import('../helpers/free-ports.ts')
  const [port = 0, opsPort = 0] = await freePorts(2)
  return [port, opsPort]
}
