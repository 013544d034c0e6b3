import { asArray, asRecord, asString } from '../kubernetes/objects.ts'
import { ECI_PREFIX } from '../names.ts'
import { advise, type Subject } from './advice.ts'

const MOST_VOLUMES = 20
const MOST_CONTAINERS = 20
/** Where ECI's own agents listen in every instance. */
const RESERVED_PORTS: readonly unknown[] = [111, 10250, 10255]
const CAPABILITIES: ReadonlySet<string> = new Set(
  (
    'AUDIT_WRITE CHOWN DAC_OVERRIDE FSETID FOWNER KILL MKNOD NET_ADMIN NET_BIND_SERVICE NET_RAW SETGID SETUID SETFCAP ' +
    'SETPCAP SYS_CHROOT SYS_PTRACE'
  ).split(' '),
)
const SYSCTL = /^(?:kernel\.(?:shm|msg).*|kernel\.sem|fs\.mqueue\..*|net\..*|vm\.min_free_kbytes)$/
/** A data cache is mounted by a hostPath volume, the one use ECI has for it. */
const DATA_CACHE = `${ECI_PREFIX}eci-data-cache-bucket`
const REFUSED_SYSCTL = 'net.ipv4.tcp_syncookies'

/** What ECI makes of the Pod's spec, but for its size. */
export function adviseOnSpec(subject: Subject): void {
  adviseOnHost(subject)
  adviseOnSysctls(subject)
  adviseOnVolumes(subject)
  adviseOnContainers(subject, 'containers')
  adviseOnContainers(subject, 'initContainers')
  adviseOnCounts(subject)
  adviseOnJob(subject)
}

function adviseOnHost(subject: Subject): void {
  const { spec } = subject
  if (spec.hostNetwork === true) {
    advise(subject, {
      code: 'host-network',
      kind: 'refused',
      path: 'spec.hostNetwork',
      message: 'ECI has no host network: every Pod has an address of its own in the VPC. Remove hostNetwork.',
    })
  }
  // The vendor's list of limits is silent about these two; there is no host whose processes could be shared.
  if (spec.hostPID === true) {
    advise(subject, {
      code: 'host-pid',
      kind: 'ignored',
      path: 'spec.hostPID',
      message: 'On ECI a Pod sees the processes of its own instance only: hostPID shows it no node.',
    })
  }
  if (spec.hostIPC === true) {
    advise(subject, {
      code: 'host-ipc',
      kind: 'ignored',
      path: 'spec.hostIPC',
      message: 'On ECI a Pod shares no memory with others: hostIPC reaches no node.',
    })
  }
}

function adviseOnSysctls(subject: Subject): void {
  const sysctls = asArray(asRecord(subject.spec.securityContext)?.sysctls)
  for (const [index, item] of sysctls.entries()) {
    const name = asString(asRecord(item)?.name)?.replaceAll('/', '.')
    if (name === undefined || (SYSCTL.test(name) && name !== REFUSED_SYSCTL)) continue
    advise(subject, {
      code: 'sysctl',
      kind: 'refused',
      path: `spec.securityContext.sysctls[${index}].name`,
      message: `ECI does not set ${name.slice(0, 60)}: it sets kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.*, net.* and vm.min_free_kbytes.`,
    })
  }
}

function adviseOnVolumes(subject: Subject): void {
  for (const [index, item] of asArray(subject.spec.volumes).entries()) {
    if (asRecord(asRecord(item)?.hostPath) === undefined) continue
    if (subject.annotation(DATA_CACHE) !== undefined) return
    advise(subject, {
      code: 'host-path',
      kind: 'refused',
      path: `spec.volumes[${index}].hostPath`,
      message:
        'ECI has no host to mount from: use an emptyDir, disk or NAS volume (or eci-data-cache-bucket for a data cache).',
    })
  }
}

function adviseOnCounts(subject: Subject): void {
  const volumes = asArray(subject.spec.volumes).length
  if (volumes > MOST_VOLUMES) {
    advise(subject, {
      code: 'too-many-volumes',
      kind: 'refused',
      path: 'spec.volumes',
      message: `ECI takes ${MOST_VOLUMES} volumes in a Pod; this one has ${volumes}. Merge some, by projected volumes for example.`,
    })
  }
  const containers = asArray(subject.spec.containers).length
  if (containers > MOST_CONTAINERS) {
    advise(subject, {
      code: 'too-many-containers',
      kind: 'refused',
      path: 'spec.containers',
      message: `ECI takes ${MOST_CONTAINERS} containers in a Pod; this one has ${containers}. Split the Pod.`,
    })
  }
}

function adviseOnContainers(subject: Subject, list: 'containers' | 'initContainers'): void {
  for (const [index, item] of asArray(subject.spec[list]).entries()) {
    const container = asRecord(item)
    if (container === undefined) continue
    const path = `spec.${list}[${index}]`
    const context = asRecord(container.securityContext)
    if (context !== undefined) adviseOnContext(subject, context, `${path}.securityContext`)
    adviseOnPorts(subject, asArray(container.ports), `${path}.ports`)
  }
}

function adviseOnContext(subject: Subject, context: Record<string, unknown>, path: string): void {
  if (context.privileged === true) {
    advise(subject, {
      code: 'privileged',
      kind: 'refused',
      path: `${path}.privileged`,
      message:
        'ECI runs no privileged containers unless a ticket opened that for the account: add single capabilities instead.',
    })
  }
  adviseOnCapabilities(subject, context, path)
  if (context.readOnlyRootFilesystem === true) {
    advise(subject, {
      code: 'read-only-root',
      kind: 'ignored',
      path: `${path}.readOnlyRootFilesystem`,
      message:
        'ECI lists readOnlyRootFilesystem among what cannot be set: expect a root file system that can be written.',
    })
  }
  if (context.procMount !== undefined && context.procMount !== null && context.procMount !== 'Default') {
    advise(subject, {
      code: 'proc-mount',
      kind: 'ignored',
      path: `${path}.procMount`,
      message: 'ECI lists procMount among what cannot be set: expect the default /proc.',
    })
  }
}

function adviseOnCapabilities(subject: Subject, context: Record<string, unknown>, path: string): void {
  const added = asArray(asRecord(context.capabilities)?.add)
  if (added.length === 0) return
  const missing = added
    .map(asString)
    .filter(name => name !== undefined && !CAPABILITIES.has(name.replace(/^CAP_/, '')))
  if (missing.length === 0) return
  advise(subject, {
    code: 'capability',
    kind: 'refused',
    path: `${path}.capabilities.add`,
    message: `ECI does not grant ${missing.join(', ').slice(0, 100)}: do without, or keep the Pod on real nodes.`,
  })
}

function adviseOnPorts(subject: Subject, ports: readonly unknown[], path: string): void {
  for (const [index, item] of ports.entries()) {
    const port = asRecord(item)
    // With hostNetwork the apiserver writes every port's number there, and hostNetwork has been named already.
    if (typeof port?.hostPort === 'number' && port.hostPort !== 0 && subject.spec.hostNetwork !== true) {
      advise(subject, {
        code: 'host-port',
        kind: 'refused',
        path: `${path}[${index}].hostPort`,
        message:
          'ECI has no host to open a port on: remove hostPort, and use the Pod’s address or a LoadBalancer Service.',
      })
    }
    if (RESERVED_PORTS.includes(port?.containerPort)) {
      advise(subject, {
        code: 'reserved-port',
        kind: 'refused',
        path: `${path}[${index}].containerPort`,
        message: `Port ${port?.containerPort} is taken by ECI itself (as are 111, 10250 and 10255): listen on another.`,
      })
    }
  }
}

function adviseOnJob(subject: Subject): void {
  const containers = asArray(subject.spec.containers)
  if (!subject.everything || containers.length < 2) return
  const owners = asArray(subject.metadata.ownerReferences)
  if (!owners.some(owner => asRecord(owner)?.kind === 'Job')) return
  if (containers.some(isDeclaredSidecar)) return
  advise(subject, {
    code: 'job-sidecar',
    kind: 'billed',
    path: 'spec.containers',
    message:
      'A sidecar that does not end keeps this Job running and billed: set env ECI_CONTAINER_TYPE=sidecar on it.',
  })
}

function isDeclaredSidecar(container: unknown): boolean {
  return asArray(asRecord(container)?.env).some(item => {
    const variable = asRecord(item)
    return variable?.name === 'ECI_CONTAINER_TYPE' && variable.value === 'sidecar'
  })
}
