/** Makes the identity that a VNode gets, and proves that the cluster takes it. */
import { VnodeError } from '../core/errors.ts'
import { asRecord, asString, own } from '../core/kubernetes/objects.ts'
import {
  accountOf,
  accountTokenSecret,
  BOOTSTRAP_NAMESPACE,
  bootstrapTokenId,
  bootstrapTokenSecret,
  bootstrapTokenSecretName,
  IDENTITY_KINDS,
  type IdentityKind,
  vnodeNames,
} from '../core/vnode/identity.ts'
import { judgeKubeconfig, renderKubeconfig } from '../core/vnode/kubeconfig.ts'
import { isStatus, type KubeClient } from '../kube/api.ts'
import { type Clock, sleep } from '../kube/clock.ts'
import { resourcePath } from '../kube/path.ts'
import { checkServer } from './cluster.ts'
import { type ConnectAs, probeKubeconfig } from './kubeconfig-probe.ts'
import type { Progress } from './progress.ts'
import type { BootstrapToken, Intent } from './record.ts'
import type { BootstrapSettings } from './settings.ts'

export interface IdentityOptions {
  readonly client: Pick<KubeClient, 'request' | 'apply'>
  readonly settings: Pick<
    BootstrapSettings,
    'installNamespace' | 'prefix' | 'identity' | 'isReachChecked' | 'leastCredentialLifeMs'
  >
  /** The API server's address for VNodes; of kind `kubeconfig` it brings its own. */
  readonly server: string
  readonly caPem: string | undefined
  readonly serviceIPs: readonly string[]
  readonly connectAs: ConnectAs
  readonly progress: Progress
  readonly clock: Clock
  readonly now: () => Date
  /** So many random characters of a-z and 0-9. */
  readonly random: (length: number) => string
  readonly signal: AbortSignal
}

export interface Minted {
  readonly kind: IdentityKind
  readonly kubeconfig: string
  readonly bootstrapToken?: BootstrapToken
}

const TOKEN_LOOK_MS = 250
/** Kubernetes' controller fills it in within a second. */
const TOKEN_LIMIT_MS = 60_000
const TOKEN_SECRET_LENGTH = 16

export class Identity {
  readonly #options: IdentityOptions

  constructor(options: IdentityOptions) {
    this.#options = options
  }

  /** A kubeconfig that was given, as it is; undefined where one is minted, or there is none. */
  async readGiven(): Promise<string | undefined> {
    const { client, settings } = this.#options
    const { kind, kubeconfigSecret } = settings.identity
    if (kind !== 'kubeconfig' || kubeconfigSecret === undefined) return undefined
    const { name, key } = kubeconfigSecret
    const path = resourcePath({
      version: 'v1',
      plural: 'secrets',
      namespace: settings.installNamespace,
      name,
    })
    const secret = await client.request<unknown>({ method: 'GET', path }).catch(error => {
      if (isStatus(error, 404)) return undefined
      throw error
    })
    const text = asString(own(asRecord(own(asRecord(secret), 'data')), key))
    return text === undefined ? undefined : Buffer.from(text, 'base64').toString('utf8')
  }

  /** What a VNode will be given, as far as it can be judged before it is made. Throws all that is wrong with it. */
  check(given: string | undefined): void {
    const { settings, server, caPem, serviceIPs } = this.#options
    if (settings.identity.kind === 'kubeconfig') return void this.#judge(given)
    checkServer(server, { serviceIPs })
    if (caPem !== undefined) return
    throw new VnodeError('API', "the API server's CA is in no ConfigMap (kube-system/kube-root-ca.crt)", {
      next: 'Kubernetes 1.20 and newer publish it. Give a kubeconfig in a Secret instead: bootstrap.identity.kind kubeconfig.',
    })
  }

  /** The part of it that is sent. */
  #judge(given: string | undefined): string {
    const { settings, progress, serviceIPs, now } = this.#options
    const { name = '', key = '' } = settings.identity.kubeconfigSecret ?? {}
    if (given === undefined) throw missing(settings.installNamespace, name, key)
    const { leastCredentialLifeMs: leastLifeMs } = settings
    const { text, warnings, problems } = judgeKubeconfig(given, {
      serviceIPs,
      now: now(),
      leastLifeMs,
    })
    for (const warning of warnings) progress.say('Kubeconfig', `of Secret ${name}: ${warning}`)
    if (text !== undefined) return text
    const what = problems.map(({ message }) => message).join('; ')
    throw new VnodeError(
      'KUBECONFIG',
      `the VNode's kubeconfig in Secret ${settings.installNamespace}/${name}: ${what}`,
      {
        next: [...new Set(problems.map(({ fix }) => fix))].join('\n'),
      },
    )
  }

  /** What an intent is made of. Of kind `service-account` its objects are made here, as the token is Kubernetes' to make. */
  async mint(given: string | undefined): Promise<Minted> {
    const { settings, random } = this.#options
    const { kind } = settings.identity
    if (kind === 'kubeconfig') return { kind, kubeconfig: this.#judge(given) }
    if (kind === 'service-account') return { kind, kubeconfig: this.#render(await this.#accountToken()) }
    const id = bootstrapTokenId(settings.installNamespace, settings.prefix)
    const bootstrapToken = { id, secret: random(TOKEN_SECRET_LENGTH) }
    return { kind, kubeconfig: this.#render(`${id}.${bootstrapToken.secret}`), bootstrapToken }
  }

  /** The objects that the intent's credential needs; those of an intent that stands are made anew if somebody has removed them. */
  async ensure({ identity, bootstrapToken }: Intent): Promise<void> {
    const { client, progress } = this.#options
    if (identity !== 'tls-bootstrap' || bootstrapToken === undefined) return
    progress.say('Identity', `making the bootstrap token ${bootstrapToken.id}`)
    const { id, secret } = bootstrapToken
    await client.apply(this.#tokenPath(id), bootstrapTokenSecret(id, secret), { force: true })
  }

  /** Tries what is sent to ECI as a VNode would. Throws what keeps a VNode from using it. */
  async prove({ identity, request }: Intent): Promise<void> {
    const { settings, connectAs, progress, clock, signal } = this.#options
    if (!settings.isReachChecked) return
    const text = Buffer.from(request.kubeConfig, 'base64').toString('utf8')
    progress.say('Identity', 'trying the kubeconfig for the VNode')
    await probeKubeconfig(text, { identity, connectAs, clock, signal })
  }

  #render(token: string): string {
    const { server, caPem = '' } = this.#options
    return renderKubeconfig({ server, caPem, token })
  }

  #tokenPath(id: string): string {
    const name = bootstrapTokenSecretName(id)
    return resourcePath({ version: 'v1', plural: 'secrets', namespace: BOOTSTRAP_NAMESPACE, name })
  }

  async #accountToken(): Promise<string> {
    const { client, settings, clock, signal, progress } = this.#options
    const { installNamespace: namespace, prefix } = settings
    const { account, accountToken: name } = vnodeNames(prefix)
    const accountPath = resourcePath({ version: 'v1', plural: 'serviceaccounts', namespace, name: account })
    const path = resourcePath({ version: 'v1', plural: 'secrets', namespace, name })
    progress.say('Identity', `making the ServiceAccount ${account} and its token`)
    await client.apply(accountPath, accountOf(namespace, account), { force: true })
    const end = clock.now() + TOKEN_LIMIT_MS
    while (clock.now() < end && !signal.aborted) {
      // A token of an account that was removed is removed too, a moment later.
      const secret = await client.apply<unknown>(path, accountTokenSecret(namespace, { name, account }), {
        force: true,
      })
      const token = asString(own(asRecord(own(asRecord(secret), 'data')), 'token'))
      if (token !== undefined) return Buffer.from(token, 'base64').toString('utf8')
      await sleep(clock, TOKEN_LOOK_MS, signal)
    }
    signal.throwIfAborted()
    throw new VnodeError('API', `Secret ${namespace}/${name} has got no token`, {
      next: "Kubernetes' controller manager puts it there: see whether it runs with --service-account-private-key-file.",
    })
  }

  /** What an earlier intent of another kind may have left. Only for whose own intent stands: no other run needs it then. */
  removeOthers(kind: IdentityKind): Promise<void> {
    return this.#remove(IDENTITY_KINDS.filter(one => one !== kind))
  }

  /** All that was ever made, of any kind. */
  removeAll(): Promise<void> {
    return this.#remove(IDENTITY_KINDS)
  }

  async #remove(kinds: readonly IdentityKind[]): Promise<void> {
    const { client, settings } = this.#options
    const { installNamespace: namespace, prefix } = settings
    const { account, accountToken } = vnodeNames(prefix)
    const paths: Readonly<Record<IdentityKind, readonly string[]>> = {
      'tls-bootstrap': [this.#tokenPath(bootstrapTokenId(namespace, prefix))],
      'service-account': [
        resourcePath({ version: 'v1', plural: 'secrets', namespace, name: accountToken }),
        resourcePath({ version: 'v1', plural: 'serviceaccounts', namespace, name: account }),
      ],
      kubeconfig: [],
    }
    for (const path of kinds.flatMap(kind => paths[kind])) {
      await client.request({ method: 'DELETE', path }).catch(error => {
        if (!isStatus(error, 404)) throw error
      })
    }
  }
}

function missing(namespace: string, name: string, key: string): VnodeError {
  return new VnodeError(
    'BAD_SETTINGS',
    `there is no Secret ${namespace}/${name} with a key ${key}, which is to have the VNode's kubeconfig`,
    {
      next: `kubectl -n ${namespace} create secret generic ${name || 'NAME'} --from-file=${key}=FILE`,
    },
  )
}
