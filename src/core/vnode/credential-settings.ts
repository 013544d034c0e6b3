/** Where credentials of Alibaba Cloud come from. */

export interface AccessKey {
  readonly accessKeyId: string
  readonly accessKeySecret: string
  /** Of temporary credentials. */
  readonly securityToken?: string | undefined
}

/** Always one, chosen explicitly: the SDK's own chain goes on with the last one it tried, even one that failed. */
export type CredentialSettings =
  | ({ readonly kind: 'static' } & AccessKey)
  /** The RAM role of the ECS instance this runs on; its name is asked for where it is not given. */
  | { readonly kind: 'ram-role'; readonly roleName?: string | undefined }
  /** RRSA: a ServiceAccount's projected token is exchanged for temporary credentials. */
  | {
      readonly kind: 'rrsa'
      readonly roleArn: string
      readonly oidcProviderArn: string
      readonly oidcTokenFile: string
      /** Default: sts.aliyuncs.com */
      readonly stsEndpoint?: string | undefined
    }
