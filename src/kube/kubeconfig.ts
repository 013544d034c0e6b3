import { access } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { VnodeError } from '../core/errors.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export const SERVICE_ACCOUNT_DIR = '/var/run/secrets/kubernetes.io/serviceaccount'

export interface ConfigSearch {
  /** An explicit file: nothing else is looked at. */
  readonly kubeconfig: string | undefined
  readonly env: Environment
  readonly serviceAccountDir: string
}

/** Where the API server's address and credentials are. */
export type ConfigSource =
  | { readonly kind: 'cluster'; readonly server: string; readonly directory: string }
  | { readonly kind: 'files'; readonly files: readonly string[] }

/** The explicit file, else the Pod's own service account, else KUBECONFIG's files, else ~/.kube/config. */
export async function findConfig(search: ConfigSearch): Promise<ConfigSource> {
  const { kubeconfig, env, serviceAccountDir } = search
  if (kubeconfig !== undefined) return ensureFound([kubeconfig], [kubeconfig])
  const tried: string[] = []
  const host = env.KUBERNETES_SERVICE_HOST
  const token = join(serviceAccountDir, 'token')
  if (host !== undefined && host !== '' && (await isReadable(token))) {
    const address = host.includes(':') ? `[${host}]` : host
    const server = `https://${address}:${env.KUBERNETES_SERVICE_PORT ?? '443'}`
    return { kind: 'cluster', server, directory: serviceAccountDir }
  }
  tried.push(`${token} (in a cluster)`)
  const named = (env.KUBECONFIG ?? '').split(delimiter).filter(file => file !== '')
  if (named.length > 0) return ensureFound(named, [...tried, ...named.map(file => `${file} (KUBECONFIG)`)])
  const home = env.HOME ?? env.USERPROFILE ?? ''
  const usual = home === '' ? [] : [join(home, '.kube', 'config')]
  return ensureFound(usual, [...tried, ...(home === '' ? ['~/.kube/config (HOME is not set)'] : usual)])
}

/** Files that are not there are skipped, as kubectl does, unless none is left. */
async function ensureFound(files: readonly string[], tried: readonly string[]): Promise<ConfigSource> {
  const found: string[] = []
  for (const file of files) {
    if (await isReadable(file)) found.push(file)
  }
  if (found.length > 0) return { kind: 'files', files: found }
  throw new VnodeError('KUBECONFIG', `no kubeconfig found; tried: ${tried.join(', ')}`, {
    next: 'Name one with --kubeconfig FILE.',
  })
}

async function isReadable(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}
