/** helm uninstall, while the helpers stand still and then go on: nobody brings the registration back. */
import t from 'tap'
import { CONFIGURATIONS, CRD, e2eOrSkip, FAIL, RELEASE, SYSTEM } from '../helpers/e2e.ts'
import { NAMES, waitForLeader } from '../helpers/e2e-helper.ts'
import { nodeOrSkip } from '../helpers/e2e-node.ts'
import type { KubeObject } from '../helpers/kube-http.ts'

const RULES = '/api/v1/namespaces/kube-system/configmaps/eci-profile'
const OWNER = `/apis/rbac.authorization.k8s.io/v1/clusterroles/${NAMES.owner}`
const [, VALIDATING = ''] = CONFIGURATIONS

const node = nodeOrSkip(t)
const e2e = node === undefined ? undefined : await e2eOrSkip(t)

if (node !== undefined && e2e !== undefined) {
  await e2e.install(...FAIL)
  const kept = await Promise.all([RULES, CRD].map(path => e2e.find(path)))

  await t.test('the notes say what stays', async t => {
    const notes = await e2e.helm('get', 'notes', RELEASE)
    t.match(
      notes,
      /leaves what is yours:\s+- ConfigMap kube-system\/eci-profile, the rules\s+- the type selectors\.eci\.aliyun\.com/,
    )
  })

  await t.test(
    'helm uninstall with both helpers stopped during its hook and continued afterwards',
    async t => {
      const { podName } = await waitForLeader(e2e)
      const helpers = await e2e.podsOf('helper')
      t.equal(helpers.length, 2)
      const pids = new Map(helpers.map(pod => [pod.metadata.name, node.programOf(pod, 'helper')]))
      const send = (signal: 'SIGSTOP' | 'SIGCONT', name: string) => {
        const pid = pids.get(name)
        if (pid === undefined) throw new Error(`no process of ${name}`)
        process.kill(pid, signal)
      }
      const isLeaving = async ({ metadata }: KubeObject) => {
        const pod = await e2e.find(`/api/v1/namespaces/${SYSTEM}/pods/${metadata.name}`)
        return pod?.metadata.deletionTimestamp !== undefined || undefined
      }
      const load = await e2e.during(20, async load => {
        await e2e.waitFor('Pods are created', async () => load.created >= 20 || undefined)
        for (const name of pids.keys()) send('SIGSTOP', name)
        // What the leader would bring back as soon as it can.
        await e2e.remove(VALIDATING)
        const uninstalled = e2e.uninstall()
        await e2e.waitFor(
          'the hook has taken the owner away',
          async () => (await e2e.find(OWNER)) === undefined || undefined,
        )
        send('SIGCONT', podName)
        for (const pod of helpers.filter(({ metadata }) => metadata.name !== podName)) {
          await e2e.waitFor('the other helper is told to end', () => isLeaving(pod))
          send('SIGCONT', pod.metadata.name)
        }
        await uninstalled
        await e2e.waitForOldPods('helper', 0)
        await e2e.waitForOldPods('webhook', 0)
      })
      t.comment(
        `${load.created} created in ${load.seconds} s, ${load.unmarked.length} of them after the registration`,
      )
      t.strictSame(load.refused, [], 'none is refused')
      t.ok(load.unmarked.length > 0, 'after it, they are not ours')
      for (const path of CONFIGURATIONS) t.equal(await e2e.find(path), undefined, `no ${path}`)
      t.notOk(await e2e.isMarked('afterwards'))
    },
  )

  await t.test('rules and the type Selector stay as they were', async t => {
    for (const [index, path] of [RULES, CRD].entries()) {
      const { metadata } = (await e2e.find(path)) ?? {}
      t.ok(metadata, path)
      t.equal(metadata?.uid, kept[index]?.metadata.uid)
      t.equal(metadata?.resourceVersion, kept[index]?.metadata.resourceVersion)
    }
  })
}
