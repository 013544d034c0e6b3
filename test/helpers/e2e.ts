import { execFile } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { ANNOTATION_RULES } from '../../src/core/names.ts'
import { isStatus, type KubeClient } from '../../src/kube/api.ts'
import { connect } from '../../src/kube/client.ts'
import { CHART } from './chart.ts'
import { Load, type LoadResult, secondsSince } from './e2e-load.ts'
import type { KubeList, KubeObject } from './kube-http.ts'
import { makePod, type Pod } from './pods.ts'

/** The namespaces are not those of the documentation: a cluster that has a release of its own is refused. */
export const RELEASE = 'vnode-profile'
export const SYSTEM = 'vnode-e2e-system'
export const USERS = 'vnode-e2e'
export const LABELS = { 'alibabacloud.com/eci': 'true' }
export const CONFIGURATIONS = ['mutating', 'validating'].map(
  kind => `/apis/admissionregistration.k8s.io/v1/${kind}webhookconfigurations/${RELEASE}`,
)
export const CRD = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/selectors.eci.aliyun.com'

/** Stands for a namespace of the network or the storage. */
export const FAIL_EXCLUDED = 'kube-node-lease'
/** Shows each call that fails: under Ignore a Pod would only be missed. */
export const FAIL = [
  '--set',
  'registration.failurePolicy=Fail',
  '--set',
  `excludeNamespaces={${FAIL_EXCLUDED}}`,
]

const HELM_TIMEOUT = '150s'

/** A cluster, empty of us, that KUBECONFIG names. Undefined, with the test skipped, where no one is meant for tests. */
export async function e2eOrSkip(t: Test): Promise<E2e | undefined> {
  const {
    VNODE_E2E_IMAGE: image = '',
    VNODE_E2E_NEXT_IMAGE: next = `${image}-next`,
    KUBECONFIG,
  } = process.env
  if (image === '' || (KUBECONFIG ?? '') === '') {
    t.plan(
      0,
      'set VNODE_E2E_IMAGE (repository:tag) and KUBECONFIG to a cluster for tests, or run scripts/e2e',
    )
    return undefined
  }
  const kube = await connect({ userAgent: 'vnode-profile-e2e', env: { KUBECONFIG } })
  const e2e = new E2e(kube, image, next)
  await e2e.refuseForeign().catch(async error => {
    await kube.close()
    throw error
  })
  t.teardown(async () => {
    await e2e.clear()
    await kube.close()
  })
  await e2e.clear()
  await kube.apply(`/api/v1/namespaces/${USERS}`, {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: USERS },
  })
  // A Pod is refused until its namespace has an account for it.
  await e2e.waitFor('the ServiceAccount default', () =>
    e2e.find(`/api/v1/namespaces/${USERS}/serviceaccounts/default`),
  )
  return e2e
}

export class E2e {
  readonly kube: KubeClient
  readonly imageName: string
  readonly image: readonly string[]
  readonly nextImage: readonly string[]

  constructor(kube: KubeClient, image: string, next: string) {
    this.kube = kube
    this.imageName = image
    this.image = imageFlags(image)
    this.nextImage = imageFlags(next)
  }

  helm(command: string, ...args: readonly string[]): Promise<string> {
    const limit = command === 'get' ? [] : ['--timeout', HELM_TIMEOUT]
    return execute('helm', [command, ...args, '--namespace', SYSTEM, ...limit])
  }

  kubectl(...args: readonly string[]): Promise<string> {
    return execute('kubectl', ['--namespace', SYSTEM, '--request-timeout', '150s', ...args])
  }

  /** Installs it, and waits until Pods are marked; gives the seconds of both. */
  async install(...flags: readonly string[]): Promise<{ installed: number; marked: number }> {
    const start = performance.now()
    await this.helm('install', RELEASE, CHART, '--create-namespace', '--wait', ...this.image, ...flags)
    const installed = secondsSince(start)
    await this.waitForMark()
    return { installed, marked: secondsSince(start) }
  }

  upgrade(...flags: readonly string[]): Promise<string> {
    return this.helm('upgrade', RELEASE, CHART, '--wait', ...flags)
  }

  uninstall(): Promise<string> {
    return this.helm('uninstall', RELEASE, '--wait', '--ignore-not-found')
  }

  /** Throws where somebody has a release of his own: its registration has the name of ours, which is taken away between tests. */
  async refuseForeign(): Promise<void> {
    const owner = await this.find(`/apis/rbac.authorization.k8s.io/v1/clusterroles/${RELEASE}-helper`)
    const { annotations = {} } = owner?.metadata ?? {}
    const namespace = annotations['meta.helm.sh/release-namespace'] ?? 'a namespace that Helm does not know'
    if (owner !== undefined && namespace !== SYSTEM)
      throw new Error(`this cluster has vnode-profile in ${namespace}: take one that is meant for tests`)
  }

  /** Takes away the release and both namespaces, in haste; not what belongs to the cluster's people: rules and CRD. */
  async clear(): Promise<void> {
    await this.helm('uninstall', RELEASE, '--no-hooks', '--ignore-not-found')
    for (const path of CONFIGURATIONS) await this.remove(path)
    const namespaces = [SYSTEM, USERS].map(name => `/api/v1/namespaces/${name}`)
    for (const path of namespaces) {
      await this.kube.request({ method: 'DELETE', path: `${path}/pods`, body: { gracePeriodSeconds: 0 } })
      await this.remove(path)
    }
    for (const path of namespaces) {
      await this.waitFor(`${path} is gone`, async () => (await this.find(path)) === undefined || undefined)
    }
  }

  find<T = KubeObject>(path: string): Promise<T | undefined> {
    return this.kube.request<T>({ method: 'GET', path }).catch(undefinedIfAbsent)
  }

  async list<T = KubeObject>(path: string, labelSelector?: string): Promise<T[]> {
    const query = { labelSelector }
    return (await this.kube.request<KubeList<T>>({ method: 'GET', path, query })).items
  }

  async remove(path: string): Promise<void> {
    await this.kube.request({ method: 'DELETE', path }).catch(undefinedIfAbsent)
  }

  /** A Pod by the default label, created for show: true if it is marked. Throws if it is refused. */
  async isMarked(name: string): Promise<boolean> {
    const { metadata } = await this.kube.request<Pod>({
      method: 'POST',
      path: `/api/v1/namespaces/${USERS}/pods`,
      query: { dryRun: 'All' },
      body: makePod({ name, labels: LABELS }),
    })
    return metadata.annotations?.[ANNOTATION_RULES] !== undefined
  }

  /** More than one in a row: of several API servers each learns on its own that the webhook is registered. */
  async waitForMark(): Promise<void> {
    let inRow = 0
    await this.waitFor('Pods are marked', async () => {
      inRow = (await this.isMarked('marked').catch(() => false)) ? inRow + 1 : 0
      return inRow >= 5 || undefined
    })
  }

  /** Waits until the old Pods of a Deployment have ended: helm and kubectl come back while they still serve. */
  waitForOldPods(component: string, count: number): Promise<KubeObject[]> {
    return this.waitFor(`${count} Pods of ${component}`, async () => {
      const pods = await this.podsOf(component)
      return pods.length === count ? pods : undefined
    })
  }

  podsOf(component: string): Promise<KubeObject[]> {
    const selector = `app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component=${component}`
    return this.list(`/api/v1/namespaces/${SYSTEM}/pods`, selector)
  }

  /** Asks until there is an answer other than undefined. */
  async waitFor<T>(what: string, ask: () => Promise<T | undefined>, seconds = 90): Promise<T> {
    const end = performance.now() + seconds * 1000
    while (performance.now() < end) {
      const answer = await ask()
      if (answer !== undefined) return answer
      await delay(100)
    }
    throw new Error(`${what}: not so after ${seconds} s`)
  }

  /** What becomes of Pods that are created for show while something happens. */
  async during(perSecond: number, happening: (load: LoadResult) => Promise<unknown>): Promise<LoadResult> {
    const load = new Load(name => this.isMarked(name), perSecond)
    try {
      await happening(load)
    } finally {
      await load.stop()
    }
    return load
  }
}

function imageFlags(image: string): readonly string[] {
  const colon = image.lastIndexOf(':')
  return [
    '--set',
    `image.repository=${image.slice(0, colon)}`,
    '--set-string',
    `image.tag=${image.slice(colon + 1)}`,
  ]
}

/** Throws with all that the program said. */
async function execute(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, { timeout: 200_000, maxBuffer: 64 * 2 ** 20 })
  return stdout
}

function undefinedIfAbsent(error: unknown): undefined {
  if (!isStatus(error, 404)) throw error
  return undefined
}
