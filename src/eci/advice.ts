/** What the API's codes mean for the caller. Sources: the API's error tables, the common errors of Alibaba Cloud's OpenAPI. */

interface Failure {
  readonly action: string
  readonly apiCode: string
  readonly httpStatus: number
  readonly product: string
}

/** The first pattern that matches counts. */
const ADVICE: readonly (readonly [RegExp, (failure: Failure) => string])[] = [
  [
    /^InvalidAccessKeyId/,
    () => 'Check the AccessKey id: it does not exist, or is disabled. RAM lists the AccessKeys of each user.',
  ],
  [
    /^(?:SignatureDoesNotMatch|IncompleteSignature)/,
    () =>
      'Check the AccessKey secret: it does not belong to this AccessKey id, or was copied with a blank or a piece missing.',
  ],
  [
    /^InvalidSecurityToken\.Expired/,
    () =>
      'The STS token has expired: get new temporary credentials, all three parts of them, and run this again.',
  ],
  [
    /^(?:InvalidSecurityToken|MissingSecurityToken)/,
    () =>
      'Give the STS token that came together with this AccessKey pair; a temporary AccessKey (STS.…) is refused without it.',
  ],
  [
    /^InvalidTimeStamp/,
    () => "Set this machine's clock: requests are refused when it is more than 15 minutes wrong.",
  ],
  [
    /^(?:Forbidden\.(?:RAM|SubUser|NoPermission)|NoPermission|NotAuthorized|Forbidden$|ImplicitDeny|ExplicitDeny)/,
    ({ product, action }) => {
      const role =
        action === 'CreateVirtualNode'
          ? ', for the first VNode of an account ram:CreateServiceLinkedRole too'
          : ''
      return `Allow ${product}:${action} to this identity by a RAM policy${role} (README, "VNodes by hand").`
    },
  ],
  [/^Throttling/, () => 'Wait a minute and run this again: it goes on with the same request.'],
  [
    /^Quota|QuotaExceed|ExceedQuota|LimitExceeded/,
    () =>
      'Ask for a higher quota in the Quota Center, or delete what is no longer needed (vnode list shows VNodes).',
  ],
  [
    /^(?:Account\.Arrearage|Arrearage|InsufficientBalance|NotEnoughBalance|InvalidPayMethod)/,
    () => 'Settle the account: a VNode is billed from the moment it exists.',
  ],
  [
    /^(?:UserNotOpened|NotOpened|ServiceNotOpened|Forbidden\.NotOpen)/,
    () => 'Activate Elastic Container Instance for this account first.',
  ],
  [
    /VSwitch/i,
    () => 'Check the vSwitch ids (--vswitch-id): each must exist in this region, and all in one VPC.',
  ],
  [
    /SecurityGroup/i,
    () =>
      "Check the security group id (--security-group-id): it must exist in this region, in the vSwitches' VPC.",
  ],
  [
    /^IdempotentParameterMismatch|ClientToken/,
    () =>
      'This ClientToken was used before with other parameters, and nothing was created. A token is of one request: another request needs another one.',
  ],
  [
    /^Invalid(?:Parameter\.)?(?:Region|ZoneId|Zone)|^Unsupported(?:Region|Zone)|RegionId/,
    () => 'Check the region (region-id) and the zone: ECI must be offered there.',
  ],
  [
    /VirtualNode(?:Id|s)?\.?NotFound|InvalidVirtualNodeId|VirtualNodeNotFound|NoSuchVirtualNode/,
    () => 'Check the VNode id and the region: "vnode list" shows what is there.',
  ],
  [
    /^(?:IncorrectStatus|OperationConflict|OperationDenied|ResourceInUse|DependencyViolation)/,
    () =>
      'Wait until the VNode is Ready and nothing runs on it, then run this again ("vnode describe" shows its status).',
  ],
  [/KubeConfig/i, () => 'Check the kubeconfig that is sent to ECI: the API cannot read it.'],
  [/^(?:Missing|Invalid)/, () => 'Correct the parameter that the message names.'],
]

/** One sentence: what the reader does next. */
export function adviceFor(failure: Failure): string {
  const known = ADVICE.find(([pattern]) => pattern.test(failure.apiCode))
  if (known !== undefined) return known[1](failure)
  if (failure.httpStatus === 0)
    return 'Check the network: the region in the endpoint, DNS, HTTPS_PROXY and the firewall. Running this again is safe.'
  if (failure.httpStatus >= 500)
    return 'Run this again in a few minutes: it goes on with the same request. If it stays, give the request id to Alibaba Cloud support.'
  if (failure.httpStatus === 407) return 'Check the user and password of the proxy (HTTPS_PROXY).'
  return 'Look up the code and the request id in the OpenAPI console (https://api.alibabacloud.com/troubleshoot).'
}

/** Codes of refusals that pass by themselves. Nothing of the kind was executed, or ClientToken makes the second time harmless. */
const PASSING =
  /^(?:Throttling|ServiceUnavailable|InternalError|InternalServerError|SystemBusy|SignatureNonceUsed)/

/** True where the same request may be sent again, with the same ClientToken, and may then succeed. */
export function isRetryable(httpStatus: number, apiCode: string): boolean {
  return httpStatus === 0 || httpStatus === 429 || httpStatus >= 500 || PASSING.test(apiCode)
}
