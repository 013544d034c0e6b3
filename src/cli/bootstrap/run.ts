/** `vnode bootstrap`: the program, with its settings from flags, environment, a context, and a Secret. */
import { randomInt, randomUUID } from 'node:crypto'
import type { BootstrapOptions } from '../../bootstrap/prepare.ts'
import type { RemovalPlan } from '../../bootstrap/remove.ts'
import { planBootstrap, planBootstrapRemoval, runBootstrap, runRemoval } from '../../bootstrap/run.ts'
import type { BootstrapSettings } from '../../bootstrap/settings.ts'
import { commaList } from '../../config/flags.ts'
import type { VnodeContext } from '../../config/vnode-config.ts'
import { VnodeError } from '../../core/errors.ts'
import { asRecord, asString, own } from '../../core/kubernetes/objects.ts'
import type { AccessKey } from '../../core/vnode/credential-settings.ts'
import { isStatus, type KubeClient } from '../../kube/api.ts'
import { connectDirectly } from '../../kube/direct.ts'
import { resourcePath } from '../../kube/path.ts'
import { connectorOf } from '../connector.ts'
import type { Io } from '../io.ts'
import { VERSION } from '../version.ts'
import { NEW_TOKEN, renderAnswer } from '../vnode/request.ts'
import { openSession, type Session } from '../vnode/session.ts'
import { virtualNodeOf } from '../vnode/virtual-node-flags.ts'
import type { BootstrapFlags } from './flags.ts'

const USER_AGENT = `vnode-profile/${VERSION}`
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789'

export async function runBootstrapCommand(flags: BootstrapFlags, io: Io): Promise<void> {
  const { client, session } = await open(flags, io)
  try {
    const options = bootstrapOptions({ flags, io, client, session })
    if (flags.remove === true) await remove(options, flags, io)
    else if (isDryRun(flags)) await plan(options, io)
    else await run(options, flags, io)
  } finally {
    await Promise.all([client.close(), session.eci.close()])
  }
}

/** The cluster that is named, or that this runs in; and, where no Secret has the AccessKey, that of the context. */
async function open(flags: BootstrapFlags, io: Io): Promise<Pick<Parts, 'client' | 'session'>> {
  if (flags.credentialsSecret === undefined) {
    const session = await openSession(flags, io)
    return { session, client: await session.connect() }
  }
  const client = await connectorOf({ kubeconfig: flags.kubeconfig }, io)()
  return { client, session: await openSession(flags, io, await readAccessKey(client, flags)) }
}

interface Parts {
  readonly flags: BootstrapFlags
  readonly io: Io
  readonly client: KubeClient
  readonly session: Session
}

function bootstrapOptions({ flags, io, client, session }: Parts): BootstrapOptions {
  return {
    settings: bootstrapSettings(flags, session.context),
    client,
    eci: session.eci,
    connectAs: access => connectDirectly({ ...access, userAgent: USER_AGENT }),
    say: ({ message, isWarning, isDetail }) => {
      if (isDetail && flags.verbose !== true) return
      io.stderr(`vnode: ${isWarning ? 'warning: ' : ''}${message}\n`)
    },
    signal: io.stopSignal(),
    uuid: randomUUID,
    random: randomCharacters,
  }
}

async function run(options: BootstrapOptions, flags: BootstrapFlags, io: Io): Promise<void> {
  const { virtualNodeId, nodeName, how } = await runBootstrap(options)
  const text = `VNode ${virtualNodeId} is ${HOW[how]}; its Node ${nodeName} is Ready.\n`
  print({ text, VirtualNodeId: virtualNodeId, NodeName: nodeName, Outcome: how }, flags, io)
  if (how !== 'known')
    io.stderr('vnode: which DaemonSets get Pods there, where none runs: vnode daemonsets list\n')
}

async function remove(options: BootstrapOptions, flags: BootstrapFlags, io: Io): Promise<void> {
  if (isDryRun(flags)) return io.stdout(renderRemoval(await planBootstrapRemoval(options)))
  const id = await runRemoval(options)
  const text = id === undefined ? 'There was no VNode.\n' : `VNode ${id} is deleted.\n`
  print({ text, VirtualNodeId: id ?? '', Outcome: id === undefined ? 'none' : 'deleted' }, flags, io)
}

/** A sentence, or the same for programs. */
function print(
  { text, ...answer }: Readonly<Record<string, string>> & { readonly text: string },
  { output }: BootstrapFlags,
  io: Io,
): void {
  io.stdout(output === 'text' ? text : renderAnswer(answer, output))
}

function renderRemoval(plan: RemovalPlan): string {
  if (plan.kind === 'delete') return `VNode ${plan.virtualNodeId} would be drained and deleted.\n`
  if (plan.kind === 'ask')
    return `VNode ${plan.name} was asked for, and there was no answer: the same request would be sent once more, and what it has made drained and deleted.\n`
  const stay = plan.notOurs.map(
    id =>
      `VNode ${id} is not written down as this release's, and would stay; vnode delete ${id} removes it.\n`,
  )
  return ['There is no VNode to delete.\n', ...stay].join('')
}

function isDryRun({ dryRun, dry }: BootstrapFlags): boolean {
  return dryRun === true || dry === true
}

/** What the next step would be, and the request as far as it can be known: a credential is minted when it is needed. */
async function plan(options: BootstrapOptions, io: Io): Promise<void> {
  const { step, request } = await planBootstrap(options)
  if (step.kind === 'registered' || step.kind === 'adopt') {
    const { virtualNodeId } = step.virtualNode
    const what = step.kind === 'adopt' ? 'exists, and would be used' : 'is registered already'
    return io.stdout(`VNode ${virtualNodeId} ${what}.\n`)
  }
  if (step.kind === 'refuse') throw new VnodeError('REFUSED', step.message, { next: step.next })
  const { createParameters } = await import('../../eci/client.ts')
  const whole = { ...request, clientToken: NEW_TOKEN, kubeConfig: '' }
  const parameters = { ...createParameters(whole), KubeConfig: '**** (made when it is needed)' }
  io.stdout(`${JSON.stringify({ Action: 'CreateVirtualNode', ...parameters }, null, 2)}\n`)
  if (step.kind === 'send')
    io.stdout('An earlier run has sent a request; that one, in its own words, would be sent once more.\n')
  if (step.kind === 'wait') io.stdout(`${step.reason}; that would be waited for first.\n`)
  if (step.kind === 'end') io.stdout(`${step.reason}; a new one would be registered.\n`)
}

const HOW = {
  created: 'registered',
  adopted: 'there already, and used from now on',
  known: 'registered already',
} as const

function bootstrapSettings(flags: BootstrapFlags, context: VnodeContext | undefined): BootstrapSettings {
  const { installNamespace, name: prefix, identity, kubeconfigSecret } = flags
  if (identity === 'kubeconfig' && kubeconfigSecret === undefined)
    throw new VnodeError('USAGE', '--identity kubeconfig needs --kubeconfig-secret NAME')
  return {
    installNamespace,
    prefix,
    virtualNode: {
      ...virtualNodeOf(flags),
      name: flags.vnodeName ?? prefix,
      vSwitchIds: flags.vswitchId ?? commaList(context?.vswitchId ?? ''),
      securityGroupId: flags.securityGroupId ?? context?.securityGroupId ?? '',
      eipInstanceId: flags.eipInstanceId,
    },
    identity: {
      kind: identity,
      kubeconfigSecret:
        kubeconfigSecret === undefined ? undefined : { name: kubeconfigSecret, key: 'kubeconfig' },
    },
    apiserver: flags.apiserver,
    leastCredentialLifeMs: flags.leastCredentialLife,
    isAdditional: flags.additional === true,
    isReachChecked: flags.skipReachCheck !== true,
    waitMs: flags.wait,
  }
}

/** Undefined where no Secret is named. */
async function readAccessKey(
  client: Pick<KubeClient, 'request'>,
  { installNamespace: namespace, credentialsSecret: name }: BootstrapFlags,
): Promise<AccessKey | undefined> {
  if (name === undefined) return undefined
  const path = resourcePath({ version: 'v1', plural: 'secrets', namespace, name })
  const secret = await client.request<unknown>({ method: 'GET', path }).catch(error => {
    if (isStatus(error, 404)) return undefined
    throw error
  })
  const read = (key: string) => {
    const value = asString(own(asRecord(own(asRecord(secret), 'data')), key))
    return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8').trim()
  }
  const [accessKeyId, accessKeySecret] = [read('access-key-id'), read('access-key-secret')]
  if (accessKeyId && accessKeySecret)
    return { accessKeyId, accessKeySecret, securityToken: read('security-token') }
  throw new VnodeError(
    'CREDENTIALS',
    `there is no Secret ${namespace}/${name} with access-key-id and access-key-secret`,
    {
      next: `kubectl -n ${namespace} create secret generic ${name} --from-file=access-key-id=FILE --from-file=access-key-secret=FILE`,
    },
  )
}

/** Of a bootstrap token. */
function randomCharacters(length: number): string {
  return Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
}
