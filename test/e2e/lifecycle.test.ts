/** From a cluster that never heard of us, to Pods on VNodes, and back. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { ANNOTATION_RULES, VNODE_KEY } from '../../src/core/names.ts'
import { CONFIGURATIONS, CRD, type E2e, e2eOrSkip, FAIL, LABELS, RELEASE, USERS } from '../helpers/e2e.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { makeDeployment, type Pod } from '../helpers/pods.ts'

const RULES = '/api/v1/namespaces/kube-system/configmaps/eci-profile'
/** MiB that each stays below while it is idle; both request 128. */
const RESIDENT = new Map([
  ['webhook', 110],
  ['helper', 128],
])
/** By the container's runtime, in memory. */
const WRITABLE = ['/dev/mqueue', '/dev/shm', '/dev/termination-log']
/** Runs in the container: every file and folder that its user could write, but for devices and what the kernel shows. */
const FIND_WRITABLE = `
  const { accessSync, constants, lstatSync, readdirSync } = require('node:fs')
  const answers = ask => { try { return ask() ?? true } catch { return undefined } }
  const found = []
  const look = path => {
    const entry = answers(() => lstatSync(path))
    if (!entry?.isDirectory() && !entry?.isFile()) return
    if (answers(() => accessSync(path, constants.W_OK))) found.push(path)
    const names = entry.isDirectory() ? (answers(() => readdirSync(path)) ?? []) : []
    for (const name of names) look(path === '/' ? path + name : path + '/' + name)
  }
  const skipped = ['proc', 'sys']
  for (const name of readdirSync('/')) if (!skipped.includes(name)) look('/' + name)
  if (answers(() => accessSync('/', constants.W_OK))) found.push('/')
  console.log(JSON.stringify(found))`
const { VNODE_E2E_ADDED_BYTES, VNODE_E2E_IMAGE_CONFIG } = process.env
const e2e = await e2eOrSkip(t)

if (e2e !== undefined) {
  await t.test('a Deployment with the default label runs on a VNode after helm install', async t => {
    const { installed, marked } = await e2e.install(...FAIL)
    t.comment(`helm install --wait: ${installed} s; the first Pod marked after ${marked} s`)
    await e2e.kube.apply(
      `/apis/apps/v1/namespaces/${USERS}/deployments/web`,
      makeDeployment({ name: 'web', namespace: USERS, replicas: 3, pod: { labels: LABELS } }),
    )
    const pods = await e2e.waitFor('three running Pods', async () => {
      const found = await e2e.list<Pod & KubeObject>(`/api/v1/namespaces/${USERS}/pods`, 'app=web')
      return found.length === 3 && found.every(pod => pod.status?.phase === 'Running') ? found : undefined
    })
    for (const pod of pods) {
      t.equal(pod.metadata.annotations?.[ANNOTATION_RULES], 'pod-alibabacloud-eci', 'is marked')
      t.equal(pod.spec.nodeSelector?.[VNODE_KEY], 'true', 'selects VNodes')
      t.ok(
        pod.spec.tolerations?.some(({ key }) => key === VNODE_KEY),
        'tolerates VNodes',
      )
      const node = await e2e.find(`/api/v1/nodes/${pod.spec.nodeName}`)
      t.equal(node?.metadata.labels?.[VNODE_KEY], 'true', `runs on a VNode: ${pod.spec.nodeName}`)
    }
  })

  await t.test('helm test is green', async t => {
    t.match(await e2e.helm('test', RELEASE), /Phase:\s+Succeeded/)
  })

  for (const [component, promised] of RESIDENT) {
    const inside = (...command: readonly string[]) =>
      e2e.kubectl('exec', `deployment/${RELEASE}-${component}`, '--', ...command)

    await t.test(`the ${component} has no rights in its container`, async t => {
      const status = await inside('cat', '/proc/1/status')
      t.match(status, /^Uid:\t1000\t1000\t1000\t1000$/m, 'is user 1000')
      t.match(status, /^Gid:\t1000\t1000\t1000\t1000$/m, 'and of group 1000')
      t.match(status, /^NoNewPrivs:\t1$/m, 'cannot get more')
      t.match(status, /^Seccomp:\t2$/m, 'is filtered')
      for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb']) {
        t.match(status, new RegExp(`^Cap${set}:\t0+$`, 'm'), `has no capabilities: ${set}`)
      }
      const writable = JSON.parse(await inside('node', '--eval', FIND_WRITABLE)) as string[]
      t.comment(`${component}: can write ${writable.join(' ')}`)
      t.strictSame(
        writable.filter(path => !WRITABLE.includes(path)),
        [],
        'writes nothing but what every container has in memory',
      )
    })

    await t.test(`the ${component} needs no more memory than is promised`, async t => {
      const kibibytes = async () =>
        Number(/^VmRSS:\s+(\d+) kB$/m.exec(await inside('cat', '/proc/1/status'))?.[1])
      // What the start has left behind goes when V8 finds the time.
      const resident = await e2e.waitFor(`the ${component} takes less than ${promised} MiB`, async () => {
        const mebibytes = (await kibibytes()) / 1024
        return mebibytes < promised ? mebibytes : undefined
      })
      t.comment(`${component}: ${resident.toFixed(0)} MiB resident`)
      t.ok(resident > 0)
    })
  }

  await t.test('the image is little larger than its base', async t => {
    if (VNODE_E2E_ADDED_BYTES === undefined) return t.plan(0, 'scripts/e2e measures it, where it is built')
    const megabytes = Number(VNODE_E2E_ADDED_BYTES) / 1e6
    t.comment(`${megabytes.toFixed(1)} MB above the base`)
    t.ok(megabytes > 0 && megabytes <= 60, 'at most 60 MB')
  })

  await t.test('the image says what it is, and runs the command as a user without rights', async t => {
    if (VNODE_E2E_IMAGE_CONFIG === undefined) return t.plan(0, 'scripts/e2e reads it, where it is built')
    const { version, license } = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, string>
    const { config } = JSON.parse(VNODE_E2E_IMAGE_CONFIG) as { config: object }
    t.match(config, {
      User: '1000:1000',
      Entrypoint: ['vnode'],
      Labels: {
        'org.opencontainers.image.title': 'vnode-profile',
        'org.opencontainers.image.description': /ECI/,
        'org.opencontainers.image.licenses': license,
        'org.opencontainers.image.version': version,
      },
    })
  })

  await t.test('Pods can be created while and after it is uninstalled, with failurePolicy Fail', async t => {
    const load = await e2e.during(20, async () => {
      await e2e.uninstall()
      await e2e.waitForOldPods('webhook', 0)
    })
    t.comment(
      `${load.created} created in ${load.seconds} s, ${load.unmarked.length} of them after the registration`,
    )
    t.strictSame(load.refused, [], 'none is refused')
    t.ok(load.created > 0, 'some were created')
    t.ok(load.unmarked.length > 0, 'after it, they are not ours')
    t.notOk(await e2e.isMarked('afterwards'))
    for (const path of CONFIGURATIONS) t.equal(await e2e.find(path), undefined, `no ${path}`)
    t.ok(await e2e.find(RULES), 'the rules stay')
    t.ok(await e2e.find(CRD), 'the type Selector stays')
    t.equal(await leftovers(e2e), '', 'nothing of the release is left')
  })
}

/** What has the release's label, of the kinds that the chart makes. */
function leftovers(e2e: E2e): Promise<string> {
  const kinds = [
    'deployments',
    'services',
    'serviceaccounts',
    'roles',
    'rolebindings',
    'clusterroles',
    'clusterrolebindings',
    'networkpolicies',
    'poddisruptionbudgets',
    'validatingadmissionpolicies',
    'validatingadmissionpolicybindings',
    'jobs',
  ].join()
  return e2e.kubectl('get', kinds, '--selector', `app.kubernetes.io/instance=${RELEASE}`, '--output', 'name')
}
