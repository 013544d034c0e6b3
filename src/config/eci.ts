/** Flags by which commands reach Alibaba Cloud, and what they come to with the environment and a context of `~/.vnode/config`. */
import { type Command, Option } from 'commander'
import { VnodeError } from '../core/errors.ts'
import type { AccessKey, CredentialSettings } from '../core/vnode/credential-settings.ts'
import { type Environment, httpsUrl } from './flags.ts'
import type { VnodeContext } from './vnode-config.ts'

export const CREDENTIAL_SOURCES = ['auto', 'config', 'env', 'ram-role', 'rrsa'] as const
export type CredentialChoice = (typeof CREDENTIAL_SOURCES)[number]

/** What commander makes of the flags of {@link addEciOptions}. */
export interface EciFlags {
  readonly regionId?: string
  readonly eciEndpoint?: string
  readonly eciCa?: string
  readonly eciVpcEndpoint?: boolean
  readonly credentials: CredentialChoice
  readonly ramRole?: string
}

export function addEciOptions(command: Command): Command {
  return command
    .option('--region-id <id>', "region of the VNodes (default: the context's)")
    .option('--eci-endpoint <url>', 'https://host:port in place of eci.<region>.aliyuncs.com', httpsUrl)
    .option('--eci-ca <file>', 'PEM file of a further authority to trust for it')
    .option('--eci-vpc-endpoint', 'use the endpoints within the VPC, where there is no way to the Internet')
    .addOption(
      new Option(
        '--credentials <source>',
        'where the AccessKey comes from; auto: the context, else the environment',
      )
        .choices(CREDENTIAL_SOURCES)
        .default('auto'),
    )
    .option(
      '--ram-role <name>',
      "RAM role of this ECS instance, for '--credentials ram-role' (default: the one attached)",
    )
}

export interface EciSettings {
  readonly regionId: string
  readonly credentials: CredentialSettings
  readonly endpoint: string | undefined
  /** PEM file, not read yet. */
  readonly extraCaFile: string | undefined
  readonly isVpcEndpoint: boolean
  readonly proxy: string | undefined
  readonly noProxy: string | undefined
}

export interface EciInputs {
  readonly flags: EciFlags
  readonly env: Environment
  /** The context that is used; undefined where there is no file of contexts. */
  readonly context: VnodeContext | undefined
  /** In place of whatever the flags choose. */
  readonly accessKey?: AccessKey | undefined
}

/** Flags win over the context. The flags have had their values from the environment already. */
export function eciSettingsFrom({ flags, env, context, accessKey }: EciInputs): EciSettings {
  const regionId = flags.regionId ?? context?.regionId
  if (regionId === undefined)
    throw new VnodeError('BAD_SETTINGS', 'no region is given', {
      next: 'Give --region-id, or region-id in the context.',
    })
  return {
    regionId,
    credentials:
      accessKey === undefined ? chooseCredentials({ flags, env, context }) : { kind: 'static', ...accessKey },
    endpoint: flags.eciEndpoint,
    extraCaFile: flags.eciCa,
    isVpcEndpoint: flags.eciVpcEndpoint === true,
    proxy: env.HTTPS_PROXY || env.https_proxy,
    noProxy: env.NO_PROXY || env.no_proxy,
  }
}

/** One source, and no way back from it: an AccessKey that is wrong must not be hidden by another that happens to lie about. */
export function chooseCredentials({ flags, env, context }: EciInputs): CredentialSettings {
  const choice = flags.credentials === 'auto' ? automaticChoice(env, context) : flags.credentials
  if (choice === 'ram-role')
    return { kind: 'ram-role', roleName: flags.ramRole ?? env.ALIBABA_CLOUD_ECS_METADATA }
  const found = choice === 'rrsa' ? ofRrsa(env) : choice === 'env' ? ofEnvironment(env) : ofContext(context)
  if (found !== undefined) return found
  throw new VnodeError('CREDENTIALS', `no AccessKey: ${MISSING[choice]}`, {
    next: 'Put one into the context (vnode config set NAME --access-key-file FILE), or choose another source with --credentials.',
  })
}

const MISSING: Record<Exclude<CredentialChoice, 'auto' | 'ram-role'>, string> = {
  config: 'the context has no access-key-id and access-key-secret, and the environment has none either',
  env: 'ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET are not set',
  rrsa: 'ALIBABA_CLOUD_ROLE_ARN, ALIBABA_CLOUD_OIDC_PROVIDER_ARN and ALIBABA_CLOUD_OIDC_TOKEN_FILE are not set',
}

function automaticChoice(env: Environment, context: VnodeContext | undefined): 'config' | 'env' | 'rrsa' {
  // Half of a pair counts too, so that it is reported rather than passed over.
  if (context?.accessKeyId !== undefined || context?.accessKeySecret !== undefined) return 'config'
  if (env.ALIBABA_CLOUD_ACCESS_KEY_ID) return 'env'
  return ofRrsa(env) === undefined ? 'config' : 'rrsa'
}

function ofContext(context: VnodeContext | undefined): CredentialSettings | undefined {
  const { accessKeyId, accessKeySecret, securityToken } = context ?? {}
  if (accessKeyId === undefined && accessKeySecret === undefined) return undefined
  if (accessKeyId !== undefined && accessKeySecret !== undefined)
    return { kind: 'static', accessKeyId, accessKeySecret, securityToken }
  const missing = accessKeyId === undefined ? 'access-key-id' : 'access-key-secret'
  throw new VnodeError('CREDENTIALS', `context "${context?.name}" has no ${missing}`, {
    next: 'Set the pair with: vnode config set NAME --access-key-file FILE',
  })
}

function ofEnvironment(env: Environment): CredentialSettings | undefined {
  const accessKeyId = env.ALIBABA_CLOUD_ACCESS_KEY_ID
  const accessKeySecret = env.ALIBABA_CLOUD_ACCESS_KEY_SECRET
  const securityToken = env.ALIBABA_CLOUD_SECURITY_TOKEN || undefined
  return accessKeyId && accessKeySecret
    ? { kind: 'static', accessKeyId, accessKeySecret, securityToken }
    : undefined
}

function ofRrsa(env: Environment): CredentialSettings | undefined {
  const roleArn = env.ALIBABA_CLOUD_ROLE_ARN
  const oidcProviderArn = env.ALIBABA_CLOUD_OIDC_PROVIDER_ARN
  const oidcTokenFile = env.ALIBABA_CLOUD_OIDC_TOKEN_FILE
  const stsEndpoint = env.VNODE_STS_ENDPOINT || undefined
  return roleArn && oidcProviderArn && oidcTokenFile
    ? { kind: 'rrsa', roleArn, oidcProviderArn, oidcTokenFile, stsEndpoint }
    : undefined
}
