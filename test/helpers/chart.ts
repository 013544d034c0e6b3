import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Test } from 'tap'
import { parseAllDocuments } from 'yaml'
import { DEFAULT_KUBE_VERSION, kubeVersion, programsFolder } from '../../scripts/kube-programs.ts'
import { MissingProgramsError, skipWithout } from './kube-programs.ts'

export const CHART = join(import.meta.dirname, '../../charts/vnode-profile')
export const NAMESPACE = 'vnode-system'

export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  /** Of a Deployment or Job; a Pod's own is read by {@link podsOf}. */
  readonly spec?: { readonly template?: PodTemplate; readonly [field: string]: unknown }
  readonly [field: string]: unknown
}

export interface PodTemplate {
  readonly metadata: Manifest['metadata']
  readonly spec: ChartPodSpec
}

export interface ChartContainer {
  readonly name: string
  readonly image: string
  readonly args: readonly string[]
  readonly [field: string]: unknown
}

export interface ChartPodSpec {
  readonly containers: readonly ChartContainer[]
  readonly [field: string]: unknown
}

export interface RenderOptions {
  readonly values?: object
  /** The cluster's; `1.34.4` unless said otherwise. */
  readonly version?: string
  readonly namespace?: string
  readonly release?: string
}

export interface HelmResult {
  readonly stdout: string
  readonly stderr: string
  readonly code: number
}

/** Helm is of no version of Kubernetes: any that was built will do. */
export function findHelm(): string {
  const assets = process.env.KUBEBUILDER_ASSETS ?? ''
  const folders = [
    ...(assets === '' ? [] : [resolve(assets)]),
    programsFolder(kubeVersion()),
    programsFolder(DEFAULT_KUBE_VERSION),
  ]
  const found = folders.map(folder => join(folder, 'helm')).find(existsSync)
  if (found !== undefined) return found
  throw new MissingProgramsError(
    `there is no helm in ${folders.join(' or ')}; to build it: npm run control-plane -- ${DEFAULT_KUBE_VERSION} helm`,
  )
}

/** Helm for one test file. Undefined, with the test skipped, where there is none; in CI that is an error. */
export function helmOrSkip(t: Test): Helm | undefined {
  try {
    return new Helm(findHelm())
  } catch (error) {
    return skipWithout(t, error)
  }
}

export class Helm {
  readonly #program: string

  constructor(program: string) {
    this.#program = program
  }

  /** Any exit code is a result. Nothing of the user's own configuration counts. */
  run(args: readonly string[], { kubeconfig = '/dev/null', input = '' } = {}): Promise<HelmResult> {
    const env = { PATH: process.env.PATH, HOME: '/nonexistent', KUBECONFIG: kubeconfig }
    const options = { env, timeout: 120_000, maxBuffer: 64 * 2 ** 20 }
    return new Promise((done, fail) => {
      const child = execFile(this.#program, args, options, (error, stdout, stderr) => {
        if (error === null) done({ stdout, stderr, code: 0 })
        else if (typeof error.code === 'number') done({ stdout, stderr, code: error.code })
        else fail(error)
      })
      child.stdin?.on('error', () => undefined)
      child.stdin?.end(input)
    })
  }

  template(options: RenderOptions = {}): Promise<HelmResult> {
    const { values = {}, version = '1.34.4', namespace = NAMESPACE, release = 'vnode-profile' } = options
    return this.run(
      ['template', release, CHART, '--namespace', namespace, '--kube-version', version, '--values', '-'],
      { input: JSON.stringify(values) },
    )
  }

  /** What is applied, as text. Throws what Helm says if it refuses. */
  async text(options: RenderOptions = {}): Promise<string> {
    const { stdout, stderr, code } = await this.template(options)
    if (code !== 0) throw new Error(stderr)
    return stdout
  }

  async render(options: RenderOptions = {}): Promise<Manifest[]> {
    return manifestsOf(await this.text(options))
  }
}

export function manifestsOf(text: string): Manifest[] {
  return parseAllDocuments(text)
    .map(document => document.toJS() as Manifest | null)
    .filter(manifest => manifest !== null)
}

/** `Deployment/vnode-profile-webhook`. */
export function nameOf({ kind, metadata }: Manifest): string {
  return `${kind}/${metadata.name}`
}

export function find(manifests: readonly Manifest[], name: string): Manifest {
  const found = manifests.find(manifest => nameOf(manifest) === name)
  if (found === undefined) throw new Error(`no ${name} among ${manifests.map(nameOf).join(', ')}`)
  return found
}

export interface PodOf extends PodTemplate {
  /** Such as `Deployment/vnode-profile-webhook`. */
  readonly of: string
}

/** Every Pod that the manifests lead to. */
export function podsOf(manifests: readonly Manifest[]): PodOf[] {
  return manifests.flatMap(manifest => {
    const template = manifest.kind === 'Pod' ? (manifest as unknown as PodTemplate) : manifest.spec?.template
    return template?.spec?.containers === undefined ? [] : [{ of: nameOf(manifest), ...template }]
  })
}

/** The least with which a VNode is registered. */
export const BOOTSTRAPPED = {
  approver: { enabled: true },
  bootstrap: {
    enabled: true,
    regionId: 'cn-hangzhou',
    vSwitchIds: ['vsw-7xv1', 'vsw-7xv2'],
    securityGroupId: 'sg-7xv1',
    credentials: { source: 'secret', secretName: 'alibaba-cloud' },
  },
}

/** The situations in which the chart is rendered and checked. */
export const VARIANTS: ReadonlyMap<string, RenderOptions> = new Map<string, RenderOptions>([
  ['default', {}],
  [
    'fail',
    {
      values: { registration: { failurePolicy: 'Fail' }, excludeNamespaces: ['kube-flannel', 'kube-system'] },
    },
  ],
  [
    'host network',
    {
      values: {
        webhook: { hostNetwork: true, port: 9443, opsPort: 9080 },
        networkPolicy: { metricsFrom: [] },
      },
    },
  ],
  ['cert-manager', { values: { certificates: { source: 'cert-manager' } } }],
  [
    "cert-manager with somebody else's issuer",
    {
      values: {
        certificates: {
          source: 'cert-manager',
          life: '720h',
          certManager: { issuerRef: { kind: 'ClusterIssuer', name: 'corporate' } },
        },
      },
    },
  ],
  ['service monitor', { values: { serviceMonitor: { enabled: true, labels: { release: 'prometheus' } } } }],
  ['approver', { values: { approver: { enabled: true } } }],
  ['bootstrap', { values: BOOTSTRAPPED }],
  [
    'bootstrap by a ServiceAccount, with RRSA and everything else',
    {
      release: 'eci',
      namespace: 'other',
      values: {
        bootstrap: {
          ...BOOTSTRAPPED.bootstrap,
          name: 'edge.1',
          credentials: {
            source: 'rrsa',
            rrsa: { roleArn: 'acs:ram::1:role/eci', oidcProviderArn: 'acs:ram::1:oidc-provider/cluster' },
          },
          apiserver: 'https://192.168.0.10:8443',
          skipReachCheck: true,
          identity: { kind: 'service-account' },
          zoneId: 'cn-hangzhou-k',
          resourceGroupId: 'rg-1',
          clusterDNS: '10.0.0.10,10.0.0.11',
          clusterDomain: 'cluster.local',
          customResources: { 'example.com/gpu': 4, 'example.com/a': '1' },
          tags: { team: 'a', stage: 'prod' },
          taints: [{ key: 'example.com/paid', value: 'true', effect: 'PreferNoSchedule' }],
          eipInstanceId: 'eip-1',
          publicNetwork: true,
          additional: true,
          endpoint: 'https://gateway.example.com:9443',
          endpointCA: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
          vpcEndpoint: true,
          httpsProxy: 'http://proxy.example.com:3128',
          noProxy: '.cluster.local',
          waitSeconds: 600,
        },
      },
    },
  ],
  [
    'bootstrap with a kubeconfig, removed with the release',
    {
      values: {
        bootstrap: {
          ...BOOTSTRAPPED.bootstrap,
          credentials: { source: 'ram-role', ramRole: 'eci' },
          identity: { kind: 'kubeconfig', kubeconfigSecret: 'given' },
          deleteOnUninstall: true,
        },
      },
    },
  ],
  [
    'bootstrap in kube-system, removed with the release',
    {
      namespace: 'kube-system',
      values: { ...BOOTSTRAPPED, bootstrap: { ...BOOTSTRAPPED.bootstrap, deleteOnUninstall: true } },
    },
  ],
  [
    'approver with settings of its own',
    {
      values: {
        approver: { enabled: true, replicas: 2, commonNamePrefix: 'system:vnode', opsPort: 9090 },
        serviceMonitor: { enabled: true },
      },
    },
  ],
  ['no spill', { values: { helper: { spill: { enabled: false } } } }],
  ['spill without a policy', { version: '1.29.15', values: { helper: { spill: { unguarded: true } } } }],
  [
    'everything set',
    {
      release: 'eci',
      namespace: 'kube-system',
      values: {
        image: {
          repository: 'registry.example.com/eci/vnode-profile',
          digest: `sha256:${'0'.repeat(64)}`,
          pullPolicy: 'Always',
          pullSecrets: [{ name: 'registry' }],
        },
        rules: { namespace: 'rules', name: 'profile', create: false },
        allowSkip: 'namespace',
        selectorScope: 'cluster',
        tenantEffects: ['k8s.aliyun.com/eci-vswitch', 'k8s.aliyun.com/eci-security-group'],
        placement: {
          nodeSelector: 'type=virtual-kubelet',
          toleration: 'virtual-kubelet.io/provider=alibabacloud:NoSchedule',
          unreachableTolerationSeconds: 2_000_000,
        },
        daemonSets: {
          fence: ['kube-system/kube-proxy', 'kube-flannel/kube-flannel-ds', 'kube-system/agent'],
        },
        registration: { timeoutSeconds: 2 },
        webhook: {
          replicas: 3,
          shutdownDelaySeconds: 10,
          drainLimitSeconds: 30,
          logLevel: 'debug',
          resources: { requests: { cpu: 1 }, limits: { memory: '1Gi' } },
          priorityClassName: '',
          nodeSelector: { 'node-role.kubernetes.io/control-plane': '' },
          tolerations: [{ key: 'node-role.kubernetes.io/control-plane', operator: 'Exists' }],
          podLabels: { team: 'platform' },
          podAnnotations: { 'example.com/scrape': 'true' },
        },
        helper: {
          spill: { after: '30s', waitForScaleUp: '15m', rate: 5, burst: 10 },
          replicas: 1,
          opsPort: 9090,
          logLevel: 'warn',
          priorityClassName: 'important',
        },
        networkPolicy: { enabled: false },
      },
    },
  ],
  ...['1.16.15', '1.17.17', '1.18.20', '1.19.16', '1.21.14', '1.27.16', '1.37.2'].map(
    (version): [string, RenderOptions] => [`Kubernetes ${version}`, { version }],
  ),
  ...['1.13.12', '1.14.10', '1.15.12'].map((version): [string, RenderOptions] => [
    `legacy, Kubernetes ${version}`,
    { version, values: { legacy: true } },
  ]),
])
