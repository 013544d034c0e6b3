/** What a call was sent, read as the API reads it. */
import { invalid, missing } from './refusal.ts'

export type Parameters = ReadonlyMap<string, string>

export function required(parameters: Parameters, name: string): string {
  const value = parameters.get(name)
  if (value === undefined || value === '') throw missing(name)
  return value
}

export function booleanOf(parameters: Parameters, name: string): boolean {
  const value = parameters.get(name) ?? 'false'
  if (value !== 'true' && value !== 'false') throw invalid(name, 'it must be true or false')
  return value === 'true'
}

/** `Tag.1.Key`, `Tag.1.Value`, … as objects; the numbering must be whole. */
export function listOf(parameters: Parameters, name: string, most: number): Record<string, string>[] {
  const found = new Map<number, Record<string, string>>()
  for (const [key, value] of parameters) {
    const [, at, field] = new RegExp(`^${name}\\.(\\d+)\\.(\\w+)$`).exec(key) ?? []
    if (at === undefined || field === undefined) continue
    found.set(Number(at), { ...found.get(Number(at)), [field]: value })
  }
  if (found.size > most) throw invalid(name, `there may be at most ${most}`)
  return Array.from({ length: found.size }, (_, index) => {
    const item = found.get(index + 1)
    if (item === undefined) throw invalid(name, `${name}.${index + 1} is missing`)
    return item
  })
}

export function checkToken(parameters: Parameters): string | undefined {
  const token = parameters.get('ClientToken')
  if (token === undefined) return undefined
  if (!/^[\x20-\x7e]{1,64}$/.test(token))
    throw invalid('ClientToken', 'it must be at most 64 ASCII characters')
  return token
}

export function checkName(parameters: Parameters): string {
  const name = parameters.get('VirtualNodeName') ?? ''
  if (name !== '' && !/^[a-z0-9.-]{2,128}$/.test(name))
    throw invalid('VirtualNodeName', 'it must be 2 to 128 lower-case letters, digits, periods and hyphens')
  return name
}

export function checkCustomResources(parameters: Parameters): string {
  const text = parameters.get('CustomResources') ?? ''
  if (text !== '' && !text.split(',').every(item => /^[\w./-]+=\d+$/.test(item)))
    throw invalid('CustomResources', 'it must be a=1,b=2')
  return text
}
