import { readFileSync } from 'node:fs'
import { join } from 'node:path'

interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly format?: string
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema
}

interface Types {
  readonly kinds: Readonly<Record<string, string>>
  readonly definitions: Readonly<Record<string, Schema>>
}

/** The types of one version of Kubernetes as its apiserver publishes them, of the kinds that the chart renders: see scripts/openapi.ts. */
export class OpenApi {
  readonly #types: Types

  constructor(version: string) {
    const file = join(import.meta.dirname, `../fixtures/openapi/${version}.json`)
    this.#types = JSON.parse(readFileSync(file, 'utf8')) as Types
  }

  /** What is wrong with an object, as `path: sentence`. A field that the version does not know is wrong: it would be dropped silently. */
  problems(object: { readonly apiVersion: string; readonly kind: string }): string[] {
    const kind = `${object.apiVersion}/${object.kind}`
    const name = this.#types.kinds[kind]
    return name === undefined ? [`there is no ${kind}`] : this.#check(object, this.#definition(name), '')
  }

  #definition(name: string): Schema {
    const definition = this.#types.definitions[name]
    if (definition === undefined) throw new Error(`no definition of ${name}`)
    return definition
  }

  #check(value: unknown, schema: Schema, path: string): string[] {
    if (schema.$ref !== undefined)
      return this.#check(value, this.#definition(schema.$ref.slice('#/definitions/'.length)), path)
    if (!isOfType(value, schema)) return [`${path}: is not of type ${schema.format ?? schema.type}`]
    if (Array.isArray(value)) {
      const { items = {} } = schema
      return value.flatMap((one, index) => this.#check(one, items, `${path}[${index}]`))
    }
    return value !== null && typeof value === 'object' ? this.#checkMembers(value, schema, path) : []
  }

  #checkMembers(value: object, schema: Schema, path: string): string[] {
    const { properties, additionalProperties, required = [] } = schema
    const missing = required
      .filter(name => !Object.hasOwn(value, name))
      .map(name => `${path}.${name}: is missing`)
    // An object without either, such as Time or a raw extension, takes anything.
    if (properties === undefined && additionalProperties === undefined) return missing
    const wrong = Object.entries(value).flatMap(([name, member]) => {
      const known = Object.hasOwn(properties ?? {}, name) ? properties?.[name] : additionalProperties
      return known === undefined
        ? [`${path}.${name}: is unknown`]
        : this.#check(member, known, `${path}.${name}`)
    })
    return [...missing, ...wrong]
  }
}

function isOfType(value: unknown, { type, format }: Schema): boolean {
  if (format === 'int-or-string') return typeof value === 'string' || Number.isInteger(value)
  // JSON in a CRD, say.
  if (type === undefined) return true
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'array') return Array.isArray(value)
  if (type === 'object') return value !== null && typeof value === 'object' && !Array.isArray(value)
  return typeof value === type
}
