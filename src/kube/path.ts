export interface ResourceAddress {
  /** Empty for the core group. */
  readonly group?: string
  readonly version: string
  readonly plural: string
  readonly namespace?: string | undefined
  readonly name?: string
  readonly subresource?: string
}

/** The API path of a resource or, without a name, of its collection. */
export function resourcePath(address: ResourceAddress): string {
  const { group = '', version, plural, namespace, name, subresource } = address
  const root = group === '' ? ['api', version] : ['apis', group, version]
  const scope = namespace === undefined ? [] : ['namespaces', namespace]
  const object = name === undefined ? [] : [name, ...(subresource === undefined ? [] : [subresource])]
  return [...root, ...scope, plural, ...object].map(part => `/${encodeURIComponent(part)}`).join('')
}
