import { join } from 'node:path'

/** Where the files of one control plane are, and the ports that it listens on. */
export interface Place {
  readonly folder: string
  readonly etcdPort: number
  readonly apiPort: number
}

export const FILES = {
  ca: 'ca.crt',
  caKey: 'ca.key',
  server: 'server.crt',
  key: 'leaf.key',
  admin: 'admin.kubeconfig',
} as const

type Flags = Readonly<Record<string, string | number>>

function render(flags: Flags): string[] {
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
}

export function etcdFlags({ folder, etcdPort }: Place): string[] {
  const url = `http://127.0.0.1:${etcdPort}`
  return render({
    'data-dir': join(folder, 'etcd'),
    'listen-client-urls': url,
    'advertise-client-urls': url,
    // A lone member has no peers to tell a port.
    'listen-peer-urls': 'http://127.0.0.1:0',
    // The data need not survive the machine, only the process.
    'unsafe-no-fsync': 'true',
    'log-level': 'warn',
  })
}

/** @param hasControllers whether a controller manager makes the ServiceAccounts that Pods have by default */
export function apiserverFlags({ folder, etcdPort, apiPort }: Place, hasControllers: boolean): string[] {
  const file = (name: keyof typeof FILES): string => join(folder, FILES[name])
  return render({
    'etcd-servers': `http://127.0.0.1:${etcdPort}`,
    'bind-address': '127.0.0.1',
    'advertise-address': '127.0.0.1',
    'secure-port': apiPort,
    // Endpoints may not have a loopback address, so the Service `kubernetes` has none.
    'endpoint-reconciler-type': 'none',
    'service-cluster-ip-range': '10.0.0.0/16',
    'tls-cert-file': file('server'),
    'tls-private-key-file': file('key'),
    'client-ca-file': file('ca'),
    'authorization-mode': 'Node,RBAC',
    'service-account-issuer': 'https://kubernetes.default.svc',
    'service-account-key-file': file('key'),
    'service-account-signing-key-file': file('key'),
    ...(hasControllers ? {} : { 'disable-admission-plugins': 'ServiceAccount' }),
  })
}

export function schedulerFlags({ folder }: Place): string[] {
  return render({ ...asAdmin(folder), 'secure-port': 0 })
}

export function controllerManagerFlags({ folder }: Place): string[] {
  return render({
    ...asAdmin(folder),
    'secure-port': 0,
    // Each controller acts as its own ServiceAccount, as everywhere else: admission sees who made a Pod.
    'use-service-account-credentials': 'true',
    // It asks for a token for each of them while it starts: at its usual rate that takes five seconds.
    'kube-api-qps': 500,
    'kube-api-burst': 500,
    'service-account-private-key-file': join(folder, FILES.key),
    'root-ca-file': join(folder, FILES.ca),
    'cluster-signing-cert-file': join(folder, FILES.ca),
    'cluster-signing-key-file': join(folder, FILES.caKey),
  })
}

function asAdmin(folder: string): Flags {
  return { kubeconfig: join(folder, FILES.admin), 'leader-elect': 'false' }
}
