/**
 * The kubeconfig that goes to ECI. A VNode uses it from elsewhere and for as long as it lives: the API cannot replace it. So it may need
 * nothing of this machine, lead to an address of the VPC, and must not end soon.
 */
import { parse } from 'yaml'
import { messageOf } from '../errors.ts'
import { asRecord, asRecords, asString, own } from '../kubernetes/objects.ts'
import { apiserverAddressProblem, type ClusterAddresses } from './apiserver-address.ts'
import { certificateEnd, tokenEnd } from './credential-end.ts'

export interface KubeconfigProblem {
  /** What is wrong, a sentence without its full stop. Never has anything of a credential. */
  readonly message: string
  /** What to do about it. */
  readonly fix: string
}

export interface JudgedKubeconfig {
  readonly problems: readonly KubeconfigProblem[]
  /** What is worth knowing, and keeps nobody from using it. */
  readonly warnings: readonly string[]
  /** The current context alone, without whatever else the file had; undefined if there is a problem. */
  readonly text: string | undefined
  readonly server: string
}

export interface JudgeOptions extends ClusterAddresses {
  readonly now: Date
  /** A credential that ends before that is refused. */
  readonly leastLifeMs: number
}

const FIX = {
  read: 'Give a kubeconfig as kubectl uses it, in YAML or JSON.',
  context: 'Check it with: kubectl --kubeconfig FILE config current-context',
  address:
    "Give the API server's address in the VPC, such as https://192.168.0.10:6443 or that of its load balancer; it must be in the API server's certificate.",
  files: 'Put the files into it: kubectl config view --raw --flatten --minify',
  proxy:
    'Take proxy-url out of it (kubectl config unset clusters.NAME.proxy-url), and give an address that a VNode reaches by itself.',
  plugin:
    'Give a credential that needs no program of this machine: TLS bootstrap, a ServiceAccount with a token Secret, or a client certificate.',
  end: "Give a credential that lasts: TLS bootstrap with the approver renews itself, a token of a ServiceAccount's Secret does not end.",
} as const

/** Everything that keeps a kubeconfig from being used by a VNode, at once. */
export function judgeKubeconfig(text: string, options: JudgeOptions): JudgedKubeconfig {
  const read = readKubeconfig(text)
  if ('problem' in read) return { problems: [read.problem], warnings: [], text: undefined, server: '' }
  const { cluster, user } = read
  const server = asString(own(cluster, 'server')) ?? ''
  const ends = endsOf(user)
  const problems = [
    ...addressProblems(server, options),
    ...proxyProblems(cluster),
    ...fileProblems(cluster, user),
    ...pluginProblems(user),
    ...credentialProblems(user),
    ...ends.flatMap(end => endProblems(end, options)),
  ]
  const warnings = [...tlsWarnings(cluster), ...ends.flatMap(end => endWarnings(end, options))]
  return { problems, warnings, server, text: problems.length > 0 ? undefined : render(cluster, user) }
}

type Fields = Record<string, unknown>

interface Used {
  readonly cluster: Fields
  readonly user: Fields
}

/** Cluster and user of the current context. */
function readKubeconfig(text: string): Used | { readonly problem: KubeconfigProblem } {
  const config = parseConfig(text)
  if (config === undefined) return { problem: { message: 'it is not a kubeconfig', fix: FIX.read } }
  const name = asString(own(config, 'current-context')) ?? ''
  const context = member(config, 'contexts', 'context', name)
  if (context === undefined) {
    const message = name === '' ? 'it has no current-context' : `it has no context "${name}"`
    return { problem: { message, fix: FIX.context } }
  }
  const [clusterName, userName] = [
    asString(own(context, 'cluster')) ?? '',
    asString(own(context, 'user')) ?? '',
  ]
  const cluster = member(config, 'clusters', 'cluster', clusterName)
  const user = member(config, 'users', 'user', userName)
  if (cluster !== undefined && user !== undefined) return { cluster, user }
  const missing = cluster === undefined ? `cluster "${clusterName}"` : `user "${userName}"`
  return { problem: { message: `context "${name}" names ${missing}, which is not there`, fix: FIX.context } }
}

function parseConfig(text: string): Fields | undefined {
  try {
    return asRecord(parse(text, { maxAliasCount: 0 }))
  } catch (error) {
    // A parser's message quotes the text, and the text is a credential.
    void messageOf(error)
    return undefined
  }
}

/** The part of kubectl's named lists: `{clusters: [{name, cluster: {…}}]}`. */
function member(config: Fields, list: string, part: string, name: string): Fields | undefined {
  const found = asRecords(own(config, list)).find(entry => own(entry, 'name') === name)
  return asRecord(own(found, part))
}

function addressProblems(server: string, options: JudgeOptions): KubeconfigProblem[] {
  const problem = apiserverAddressProblem(server, options)
  const shown = URL.parse(server)?.origin ?? 'its server'
  return problem === undefined ? [] : [{ message: `${shown} ${problem}`, fix: FIX.address }]
}

/** Of this machine's network, as a rule of this machine itself; and the URL may have a password in it. */
function proxyProblems(cluster: Fields): KubeconfigProblem[] {
  if (own(cluster, 'proxy-url') === undefined) return []
  return [{ message: 'it leads through a proxy of this machine (proxy-url)', fix: FIX.proxy }]
}

function fileProblems(cluster: Fields, user: Fields): KubeconfigProblem[] {
  const named = [
    ...['certificate-authority'].filter(key => own(cluster, key) !== undefined),
    ...['client-certificate', 'client-key', 'tokenFile'].filter(key => own(user, key) !== undefined),
  ]
  if (named.length === 0) return []
  return [{ message: `it names files of this machine (${named.join(', ')})`, fix: FIX.files }]
}

function pluginProblems(user: Fields): KubeconfigProblem[] {
  const found = ['exec', 'auth-provider'].filter(key => own(user, key) !== undefined)
  return found.map(key => ({ message: `its user gets credentials from a plugin (${key})`, fix: FIX.plugin }))
}

function credentialProblems(user: Fields): KubeconfigProblem[] {
  const isPlugin = pluginProblems(user).length > 0
  const isFile = fileProblems({}, user).length > 0
  const { certificate, key, token } = credentialOf(user)
  if (isPlugin || isFile || token !== '' || (certificate !== '' && key !== '')) return []
  return [{ message: 'its user has neither a token nor a client certificate with its key', fix: FIX.plugin }]
}

interface Credential {
  readonly certificate: string
  readonly key: string
  readonly token: string
}

function credentialOf(user: Fields): Credential {
  const decoded = (name: string) => Buffer.from(asString(own(user, name)) ?? '', 'base64').toString('utf8')
  return {
    certificate: decoded('client-certificate-data'),
    key: decoded('client-key-data'),
    token: asString(own(user, 'token')) ?? '',
  }
}

interface End {
  readonly what: string
  /** Undefined: it cannot be read. */
  readonly date: Date | undefined
}

function endsOf(user: Fields): End[] {
  const { certificate, token } = credentialOf(user)
  const tokenDate = tokenEnd(token)
  return [
    ...(certificate === '' ? [] : [{ what: 'its client certificate', date: certificateEnd(certificate) }]),
    ...(tokenDate === undefined ? [] : [{ what: 'its token', date: tokenDate }]),
  ]
}

function endProblems({ what, date }: End, { now, leastLifeMs }: JudgeOptions): KubeconfigProblem[] {
  if (date === undefined) return [{ message: `${what} cannot be read`, fix: FIX.files }]
  if (date.getTime() - now.getTime() >= leastLifeMs) return []
  const verb = date <= now ? 'ended' : 'ends'
  return [{ message: `${what} ${verb} on ${dayOf(date)}, and the API cannot replace it`, fix: FIX.end }]
}

function endWarnings({ what, date }: End, { now, leastLifeMs }: JudgeOptions): string[] {
  if (date === undefined || date.getTime() - now.getTime() < leastLifeMs) return []
  return [`${what} ends on ${dayOf(date)}: the VNode is lost then, as the API cannot replace it`]
}

function tlsWarnings(cluster: Fields): string[] {
  if (own(cluster, 'insecure-skip-tls-verify') === true)
    return ['it does not verify the API server: whoever answers in its place gets the credential']
  if (own(cluster, 'certificate-authority-data') === undefined)
    return ["it has no certificate-authority-data: the API server's certificate must be a public one"]
  return []
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10)
}

export interface MintedKubeconfig {
  /** https://host:port */
  readonly server: string
  readonly caPem: string
  /** A bootstrap token, or a ServiceAccount's. */
  readonly token: string
}

/** The kubeconfig of an identity that we have made. The same values give the same bytes. */
export function renderKubeconfig({ server, caPem, token }: MintedKubeconfig): string {
  const data = Buffer.from(caPem).toString('base64')
  return render({ server, 'certificate-authority-data': data }, { token })
}

function render(cluster: Fields, user: Fields): string {
  return `${JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'cluster', cluster }],
    users: [{ name: 'vnode', user }],
    contexts: [{ name: 'vnode', context: { cluster: 'cluster', user: 'vnode' } }],
    'current-context': 'vnode',
  })}\n`
}
