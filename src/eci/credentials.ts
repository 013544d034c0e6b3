/** Credentials of Alibaba Cloud. The one file that touches `@alicloud/credentials`. */
import { readFile } from 'node:fs/promises'
import { ECSRAMRoleCredentialsProvider, OIDCRoleArnCredentialsProvider } from '@alicloud/credentials'
import { messageOf, VnodeError } from '../core/errors.ts'
import type { AccessKey, CredentialSettings } from '../core/vnode/credential-settings.ts'
import { redact, SHORT_RUN } from './redact.ts'

export type Credentials = AccessKey

/** Asked before every attempt: temporary credentials change while a program waits. */
export type CredentialSource = () => Promise<Credentials>

/** Opens nothing yet. The source throws a VnodeError CREDENTIALS, which says where it looked. */
export function credentialSource(settings: CredentialSettings): CredentialSource {
  if (settings.kind === 'static') {
    const { accessKeyId, accessKeySecret, securityToken } = settings
    return async () => ({ accessKeyId, accessKeySecret, securityToken })
  }
  const provider = providerOf(settings)
  return async () => {
    const secrets = settings.kind === 'rrsa' ? [await readToken(settings.oidcTokenFile)] : []
    try {
      const { accessKeyId, accessKeySecret, securityToken } = await provider.getCredential()
      if (!accessKeyId || !accessKeySecret) throw new Error('the answer has no AccessKey')
      return { accessKeyId, accessKeySecret, securityToken }
    } catch (error) {
      throw new VnodeError(
        'CREDENTIALS',
        `${describe(settings)}: ${redact(messageOf(error), secrets, SHORT_RUN)}`,
        {
          next: advice(settings),
        },
      )
    }
  }
}

interface Provider {
  getCredential(): Promise<{ accessKeyId?: string; accessKeySecret?: string; securityToken?: string }>
}

function providerOf(settings: Exclude<CredentialSettings, { kind: 'static' }>): Provider {
  if (settings.kind === 'ram-role') {
    const builder = ECSRAMRoleCredentialsProvider.builder()
    if (settings.roleName !== undefined) builder.withRoleName(settings.roleName)
    const provider = builder.withReadTimeout(10_000).withConnectTimeout(5000).build()
    return { getCredential: () => provider.getCredentials() }
  }
  const builder = OIDCRoleArnCredentialsProvider.builder()
    .withRoleArn(settings.roleArn)
    .withOIDCProviderArn(settings.oidcProviderArn)
    .withOIDCTokenFilePath(settings.oidcTokenFile)
    .withRoleSessionName('vnode-profile')
    .withReadTimeout(10_000)
    .withConnectTimeout(5000)
  if (settings.stsEndpoint !== undefined) builder.withStsEndpoint(settings.stsEndpoint)
  const provider = builder.build()
  return { getCredential: () => provider.getCredentials() }
}

async function readToken(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(error => {
    throw new VnodeError('CREDENTIALS', `the OIDC token: ${messageOf(error)}`, {
      next: 'Check that the ServiceAccount is bound to the RAM role (RRSA) and the token is mounted.',
    })
  })
  return text.trim()
}

function describe(settings: CredentialSettings): string {
  if (settings.kind === 'ram-role')
    return `credentials of the instance's RAM role ${settings.roleName ?? ''}`.trim()
  return settings.kind === 'rrsa' ? `credentials of ${settings.roleArn} by RRSA` : 'credentials'
}

function advice(settings: CredentialSettings): string {
  return settings.kind === 'ram-role'
    ? 'Attach a RAM role to the ECS instance, or give an AccessKey.'
    : 'Check the role, the OIDC provider and that the role trusts this ServiceAccount, or give an AccessKey.'
}
