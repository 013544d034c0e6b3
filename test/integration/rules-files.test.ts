/** Rules from files: no cluster, the whole program, and whatever editors, scripts and kubelets do to a file. */
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { removeOnExit } from '../helpers/child-process.ts'
import { makePod } from '../helpers/pods.ts'
import { isSent, podReview, sendReview } from '../helpers/reviews.ts'
import { holds, startTestWebhook, type TestWebhook } from '../helpers/webhook.ts'

/** A ConfigMap as a YAML document, with one rule for each name; a Pod's label `rule` chooses the rule. */
const configMap = (...names: readonly string[]) => `apiVersion: v1
kind: ConfigMap
metadata:
  name: eci-profile
data:
  selectors: |
    ${JSON.stringify(names.map(name => ({ name, objectSelector: { matchLabels: { rule: name } } })))}
`

interface Scene {
  readonly folder: string
  readonly file: string
  readonly webhook: TestWebhook
  write(text: string): Promise<void>
}

/** A webhook that follows `rules.yaml`. */
async function start(t: Test, text = configMap('first')): Promise<Scene> {
  const folder = await makeFolder(t)
  const file = join(folder, 'rules.yaml')
  const write = (text: string) => writeFile(file, text)
  await write(text)
  return { folder, file, webhook: await startTestWebhook(t, { files: [file] }), write }
}

async function makeFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'webhook-rules-'))
  t.teardown(removeOnExit(folder))
  return folder
}

const rulesOf = ({ state }: TestWebhook) => state.environment.rules.rules.map(({ name }) => name)

/** Does the webhook's answer send a Pod with this label `rule` to a VNode? */
async function sends(webhook: TestWebhook, rule: string, namespace?: string): Promise<boolean> {
  const review = podReview(makePod({ labels: { rule } }), namespace)
  return isSent(await sendReview(webhook, '/mutate/pods', review))
}

const NOT_READ = 'rules file not read; what it held stays in force'
const REFUSED = 'rules refused; the last good rules stay in force'

const WAYS: Readonly<Record<string, (scene: Scene) => Promise<unknown>>> = {
  'is written over': ({ write }) => write(configMap('second')),
  'is replaced by another one that is renamed, as editors do': async ({ folder, file }) => {
    await writeFile(join(folder, '.rules.yaml.swp'), configMap('second'))
    await rename(join(folder, '.rules.yaml.swp'), file)
  },
  'is moved aside and written anew, as editors that keep a backup do': async ({ file, write }) => {
    await rename(file, `${file}~`)
    await write(configMap('second'))
  },
  'is deleted and written anew': async ({ file, write, webhook }) => {
    await rm(file)
    await webhook.logged(NOT_READ, { file })
    await write(configMap('second'))
  },
  'is emptied and filled a while later, as a shell does for a slow command': async ({ write, webhook }) => {
    await write('')
    await webhook.logged(NOT_READ)
    await write(configMap('second'))
  },
  'is filled by a slow command': async ({ write, webhook }) => {
    const text = configMap('second')
    await write(text.slice(0, text.indexOf('objectSelector')))
    await webhook.logged(REFUSED)
    await write(text)
  },
}

for (const [how, edit] of Object.entries(WAYS)) {
  t.test(`rules change when their file ${how}, and not before`, async t => {
    const scene = await start(t)
    const { webhook } = scene
    t.equal(await sends(webhook, 'first'), true)
    const seen = new Set<string>()
    const look = setInterval(() => seen.add(rulesOf(webhook).join()), 1)
    await edit(scene).finally(() => clearInterval(look))
    t.same(
      [...seen].filter(rules => rules !== 'second'),
      seen.size === 0 ? [] : ['first'],
    )
    await webhook.inForce('second')
    t.equal(await sends(webhook, 'first'), false)
    t.equal(await sends(webhook, 'second'), true)
  })
}

/** What makes an edit bad, and what is said of it. */
const BAD: Readonly<Record<string, readonly [text: string, says: RegExp]>> = {
  'a rule with an unknown operator': [
    configMap('second').replace(
      '{"matchLabels":{"rule":"second"}}',
      '{"matchExpressions":[{"key":"a","operator":"Is"}]}',
    ),
    /^line 7, column \d+: rule "second": .*operator/,
  ],
  'rules that end in the middle': [configMap('second').slice(0, -20), /^line \d+, column \d+: /],
  'a file that is no YAML': [`${configMap('second')}\nmetadata: {`, /not valid JSON or YAML/],
  'a document that is no object': [`${configMap('second')}---\njust words\n`, /must be a Kubernetes object/],
}

for (const [what, [text, says]] of Object.entries(BAD)) {
  t.test(
    `an edit with ${what} leaves the rules as they were, counts and says where, until it is mended`,
    async t => {
      const { webhook, write } = await start(t)
      const measure = async () => {
        const metrics = await webhook.metrics()
        const counted = metrics.sum('vnode_profile_refused_edits_total') ?? 0
        return { counted, isNewest: metrics.sum('vnode_profile_rules_last_reload_success') }
      }
      t.same(await measure(), { counted: 0, isNewest: 1 })
      await write(text)
      const { problems } = await webhook.logged(REFUSED)
      t.match(problems, [says])
      await holds(async () => (await measure()).isNewest === 0, 5000)
      t.equal(await sends(webhook, 'first'), true)
      t.equal(await sends(webhook, 'second'), false)
      t.same(await measure(), { counted: 1, isNewest: 0 })
      t.equal((await fetch(`${webhook.opsUrl}/readyz`)).status, 200)
      await write(configMap('third'))
      await webhook.inForce('third')
      await webhook.logged('rules mended')
      t.same(await measure(), { counted: 1, isNewest: 1 })
    },
  )
}

t.test('a start with a bad rule takes the others, and says so', async t => {
  const [bad] = BAD['a rule with an unknown operator'] ?? ['']
  const { webhook } = await start(
    t,
    bad.replace('[{', '[{"name":"first","objectSelector":{"matchLabels":{"rule":"first"}}},{'),
  )
  t.same(rulesOf(webhook), ['first'])
  await webhook.logged(
    'rules refused; there are no older rules to keep, so the valid ones of these are in force',
  )
})

t.test('a file of a ConfigMap volume changes by a swap of symbolic links', async t => {
  const folder = await makeFolder(t)
  const publish = async (version: string, text: string) => {
    await mkdir(join(folder, version))
    await writeFile(join(folder, version, 'rules.yaml'), text)
    await symlink(version, join(folder, '..data_tmp'))
    await rename(join(folder, '..data_tmp'), join(folder, '..data'))
  }
  await publish('..2026_01', configMap('first'))
  await symlink(join('..data', 'rules.yaml'), join(folder, 'rules.yaml'))
  const webhook = await startTestWebhook(t, { files: [join(folder, 'rules.yaml')] })
  t.same(rulesOf(webhook), ['first'])
  for (const name of ['second', 'third']) {
    await publish(`..${name}`, configMap(name))
    await webhook.inForce(name)
  }
  t.equal(await sends(webhook, 'third'), true)
})

t.test('of many edits in quick succession the last one counts', async t => {
  const { webhook, write } = await start(t)
  for (let edit = 0; edit < 200; edit += 1) await write(configMap(`edit-${edit}`))
  await webhook.inForce('edit-199')
  t.equal(await sends(webhook, 'edit-199'), true)
})

t.test('Selectors, Namespaces and VNodes in a file come, change and go with it', async t => {
  const documents = (objects: readonly object[]) => objects.map(one => JSON.stringify(one)).join('\n---\n')
  const selector = (namespace: string) => ({
    apiVersion: 'eci.aliyun.com/v1',
    kind: 'Selector',
    metadata: { name: 'one', namespace },
    spec: { namespaceLabels: { matchLabels: { team: 'a' } }, policy: { virtualNodeOnly: {} } },
  })
  const namespace = (labels: object) => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'team-a', labels },
  })
  const vnode = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'v', labels: { type: 'virtual-kubelet' } },
  }
  const { webhook, write } = await start(t, documents([selector('team-a'), namespace({ team: 'a' }), vnode]))
  t.equal(await sends(webhook, '', 'team-a'), true)
  t.equal(webhook.state.environment.vnodes.hasName('v'), true)
  await write(documents([selector('team-a'), namespace({ team: 'b' })]))
  await webhook.until('the VNode gone', ({ environment }) => !environment.vnodes.hasName('v'))
  t.equal(await sends(webhook, '', 'team-a'), false)
  await write(documents([selector('team-b'), namespace({ team: 'a' })]))
  await webhook.inForce('team-b/one')
  t.equal(await sends(webhook, '', 'team-a'), false)
  await write(configMap())
  await webhook.inForce()
  t.equal(webhook.state.knowsNamespace('team-a'), false)
})

t.test('one file that cannot be read holds up no other', async t => {
  const folder = await makeFolder(t)
  const [a, b] = [join(folder, 'a.yaml'), join(folder, 'b.yaml')]
  await writeFile(a, configMap('first'))
  await writeFile(b, '')
  const webhook = await startTestWebhook(t, { files: [a, b] })
  await rm(b)
  await webhook.logged(NOT_READ, { file: b })
  await writeFile(a, configMap('second'))
  await webhook.inForce('second')
  t.equal(await sends(webhook, 'second'), true)
})

t.test('a file that is not there at the start is told with the next step', async t => {
  const files = [join(await makeFolder(t), 'none.yaml')]
  await t.rejects(startTestWebhook(t, { files }), {
    code: 'BAD_FILE',
    message: /none\.yaml/,
    next: /--rules/,
  })
})
