import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

/** Kubernetes' version in tests, where neither an argument nor `KUBE_VERSION` says otherwise. */
export const DEFAULT_KUBE_VERSION = '1.34.4'
/** One etcd for every Kubernetes: its API has not changed since 3.4, which is the oldest that 1.34 accepts. */
const ETCD_VERSION = '3.6.16'
const HELM_VERSION = '3.22.0'

const KUBERNETES_PROGRAMS = [
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubectl',
] as const
export type ProgramName = 'etcd' | 'helm' | (typeof KUBERNETES_PROGRAMS)[number]

export interface Program {
  readonly name: ProgramName
  /** The Go module that has it, and that module's version. */
  readonly module: string
  readonly version: string
  /** Path of its main package. */
  readonly main: string
  /** Values of string variables that the linker sets: a build from modules has no git tag to take them from. */
  readonly variables: Readonly<Record<string, string>>
}

/** `1.34.4`, whether it was written with a leading `v` or not. */
export function kubeVersion(wanted = process.env.KUBE_VERSION ?? DEFAULT_KUBE_VERSION): string {
  const version = wanted.replace(/^v/, '')
  if (!/^1\.\d+\.\d+$/.test(version)) {
    throw new Error(
      `${JSON.stringify(wanted)} is no version of Kubernetes: write it like ${DEFAULT_KUBE_VERSION}`,
    )
  }
  return version
}

/** The folder that all programs of all versions share. */
export function cacheFolder(): string {
  return resolve(process.env.KUBE_CACHE ?? join(homedir(), '.cache', 'kube-bin'))
}

/** The folder of one version's programs, whether they are there or not. */
export function programsFolder(version: string): string {
  return join(cacheFolder(), `v${version}`)
}

/** What a control plane of this version consists of, the smallest first. */
export function programsOf(version: string): Program[] {
  const etcd = 'go.etcd.io/etcd/server/v3'
  const module = 'k8s.io/kubernetes'
  const [major = '', minor = ''] = version.split('.')
  const stamp = 'k8s.io/component-base/version'
  const variables = {
    [`${stamp}.gitVersion`]: `v${version}`,
    [`${stamp}.gitMajor`]: major,
    [`${stamp}.gitMinor`]: minor,
  }
  return [
    { name: 'etcd', module: etcd, version: `v${ETCD_VERSION}`, main: etcd, variables: {} },
    ...KUBERNETES_PROGRAMS.toReversed().map(name => {
      return { name, module, version: `v${version}`, main: `${module}/cmd/${name}`, variables }
    }),
  ]
}

/** What is built only when it is asked for by name. */
export function extraPrograms(): Program[] {
  const module = 'helm.sh/helm/v3'
  const version = `v${HELM_VERSION}`
  const variables = { [`${module}/internal/version.version`]: version }
  return [{ name: 'helm', module, version, main: `${module}/cmd/helm`, variables }]
}
