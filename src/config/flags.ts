/** Flags that are also environment variables, and the readers of their values. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { parseDuration, renderDuration } from '../core/policy/duration.ts'
import { VENDOR_NAMES } from '../core/registration/vendor.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** `--ops-port` is also `VNODE_OPS_PORT`. */
export function variableOf(option: Option): string {
  return `VNODE_${(option.long ?? '')
    .replace(/^--(?:no-)?/, '')
    .replaceAll('-', '_')
    .toUpperCase()}`
}

/**
 * Gives each option that was not on the command line its value from the environment. A list is comma-separated there; a flag without
 * a value takes `true` or `false`. Throws commander's InvalidArgumentError with the variable's name where a value cannot be read.
 */
export function applyEnvironment(command: Command, env: Environment): void {
  for (const option of command.options) {
    const text = env[variableOf(option)]
    const name = option.attributeName()
    if (text === undefined || text === '' || command.getOptionValueSource(name) === 'cli') continue
    command.setOptionValueWithSource(name, readVariable(option, text), 'env')
  }
}

function readVariable(option: Option, text: string): unknown {
  try {
    if (option.isBoolean()) return readBoolean(text)
    const read = option.parseArg
    if (read === undefined) return text
    // commaList has `repeated`'s result, so that a list reads the same wherever it comes from.
    return read === repeated ? commaList(text) : read(text, undefined as never)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new InvalidArgumentError(`the variable ${variableOf(option)} is wrong: ${reason}`)
  }
}

function readBoolean(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true'
  throw new InvalidArgumentError(`must be true or false, not ${JSON.stringify(text)}`)
}

/** Gathers a flag that is given several times. */
export function repeated(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value]
}

/** A reader of whole numbers within bounds. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return text => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`must be a whole number from ${least} to ${most}`)
  }
}

/** An option with a Go duration such as `90s` or `2160h`, of that many seconds at least; its value is in milliseconds. */
export function durationOption(flags: string, description: string, text: string, least = 0): Option {
  const read = (given: string): number => {
    const seconds = parseDuration(given)
    if (seconds !== undefined && seconds >= least) return Math.round(seconds * 1000)
    throw new InvalidArgumentError(
      `must be a duration such as 90s, 5m or 24h, and at least ${renderDuration(least)}`,
    )
  }
  return new Option(flags, description).default(read(text), text).argParser(read)
}

const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const DNS_NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/

/** `https://host[:port]`, and nothing besides. */
export function httpsUrl(text: string): string {
  const url = URL.parse(text)
  const isBare = url?.pathname === '/' && url.search === '' && url.hash === '' && url.username === ''
  if (url?.protocol === 'https:' && isBare) return url.origin
  throw new InvalidArgumentError('must be https://host:port, without a path')
}

/** The name of an object or namespace. */
export function dnsLabel(text: string): string {
  if (DNS_LABEL.test(text)) return text
  throw new InvalidArgumentError('must be lower-case letters, digits and dashes, at most 63')
}

/** By which an installation names its objects: the webhook configurations have this very name, and the vendor's are not ours. */
export function installationName(text: string): string {
  if (!VENDOR_NAMES.has(text)) return dnsLabel(text)
  throw new InvalidArgumentError(`is what the vendor's own webhook is registered as; choose another one`)
}

/** `namespace/name` of an object. */
export function objectName(text: string): { readonly namespace: string; readonly name: string } {
  const [namespace = '', name = '', ...rest] = text.split('/')
  if (rest.length === 0 && DNS_LABEL.test(namespace) && DNS_NAME.test(name)) return { namespace, name }
  throw new InvalidArgumentError('must be namespace/name')
}

/** `a,b` as a list without empty members. */
export function commaList(text: string): readonly string[] {
  return text.split(',').flatMap(item => (item.trim() === '' ? [] : [item.trim()]))
}

export interface KeyValue {
  readonly key: string
  readonly value: string
}

/** Gathers `key=value` of a flag that is given several times, or comma-separated in the environment. */
export function keyValues(text: string, previous: readonly KeyValue[] | undefined): readonly KeyValue[] {
  const found = commaList(text).map(item => {
    const at = item.indexOf('=')
    if (at > 0) return { key: item.slice(0, at), value: item.slice(at + 1) }
    throw new InvalidArgumentError(`${JSON.stringify(item)} is not key=value`)
  })
  return [...(previous ?? []), ...found]
}
