import type { Authority, Identity } from './authority.ts'

/** Who a kubeconfig is for: somebody with a client certificate, or a ServiceAccount with a token. */
export type KubeconfigOwner =
  | Identity
  | {
      readonly serviceAccount: string
      readonly namespace: string
      /** Its token is that of a Secret, which does not end; it takes a controller manager. Else one for an hour. */
      readonly isLasting?: boolean
    }

export type UserEntry =
  | { readonly token: string }
  | { readonly 'client-certificate-data': string; readonly 'client-key-data': string }

export function userEntry(authority: Authority, identity: Identity): UserEntry {
  return {
    'client-certificate-data': base64(authority.issueClient(identity)),
    'client-key-data': base64(authority.leafKeyPem),
  }
}

/** As JSON, which is YAML too. */
export function renderKubeconfig(server: string, caPem: string, user: UserEntry): string {
  const name = 'test'
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority-data': base64(caPem) } }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  })
}

export function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
