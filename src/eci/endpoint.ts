/** Where the APIs are, and how to get there. */

export type Product = 'eci' | 'vpc' | 'ecs' | 'sts'

/** Versions of the APIs that are spoken. */
export const API_VERSIONS = {
  eci: '2018-08-08',
  vpc: '2016-04-28',
  ecs: '2014-05-26',
  sts: '2015-04-01',
} as const satisfies Record<Product, string>

export interface EndpointSettings {
  readonly regionId: string
  /** `https://host[:port]` in place of the public endpoints, for all APIs: a gateway, a private endpoint or a fake. */
  readonly endpoint?: string | undefined
  /** Endpoints inside the VPC (`eci-vpc.<region>.aliyuncs.com`), for clusters without a way to the Internet. */
  readonly isVpcEndpoint?: boolean | undefined
}

/** The origin of an API. The SDK never derives it from the region by itself. */
export function endpointOf(product: Product, settings: EndpointSettings): string {
  if (settings.endpoint !== undefined) return settings.endpoint
  const name = settings.isVpcEndpoint === true ? `${product}-vpc` : product
  return `https://${name}.${settings.regionId}.aliyuncs.com`
}
