/** VNodectl's file of contexts, `~/.vnode/config`: parsed, and every problem named with its line and key. */
import { asRecord, asRecords, asString, own } from '../core/kubernetes/objects.ts'
import { type Path, type Problem, Problems } from '../core/selector/problem.ts'
import { parseText, type TextDocument } from '../core/selector/text.ts'

/** One entry of `contexts`. What is not given is undefined; an AccessKey may come from elsewhere. */
export interface VnodeContext {
  readonly name: string
  readonly regionId: string | undefined
  readonly accessKeyId: string | undefined
  readonly accessKeySecret: string | undefined
  /** Ours: of temporary credentials. */
  readonly securityToken: string | undefined
  readonly vswitchId: string | undefined
  readonly securityGroupId: string | undefined
  /** As written: relative to the folder of the file. */
  readonly kubeconfig: string | undefined
  /** What is wrong with this context alone. */
  readonly problems: readonly Problem[]
}

export interface VnodeConfig {
  readonly contexts: readonly VnodeContext[]
  readonly currentContext: string | undefined
  /** What is wrong with the file as a whole. */
  readonly problems: readonly Problem[]
}

/** Keys of a context in the order of the documentation; `security-token` is ours. */
export const CONTEXT_KEYS = [
  'region-id',
  'access-key-id',
  'access-key-secret',
  'security-token',
  'vswitch-id',
  'security-group-id',
  'kubeconfig',
] as const

export type ContextKey = (typeof CONTEXT_KEYS)[number]

/** Keys whose values no message may show. */
export const SECRET_KEYS: readonly string[] = ['access-key-id', 'access-key-secret', 'security-token']

/** Says what is wrong with a value, in a few words. */
const CHECKS: Record<ContextKey, (text: string) => string | undefined> = {
  'region-id': text =>
    /^[a-z]{2}-[a-z0-9-]+$/.test(text) ? undefined : 'is no region id, such as cn-hangzhou',
  'access-key-id': secretProblem,
  'access-key-secret': secretProblem,
  'security-token': secretProblem,
  'vswitch-id': vSwitchProblem,
  'security-group-id': text =>
    /^sg-[a-z0-9]+$/.test(text) ? undefined : 'is no security group id, which begins with sg-',
  kubeconfig: () => undefined,
}

/** 1 to 10 ids, comma-separated. */
export function vSwitchProblem(text: string): string | undefined {
  const ids = text.split(',').map(id => id.trim())
  if (ids.length > 10) return 'names more than 10 vSwitches'
  return ids.every(id => /^vsw-[a-z0-9]+$/.test(id))
    ? undefined
    : 'is no vSwitch id, which begins with vsw- (several: comma-separated)'
}

function secretProblem(text: string): string | undefined {
  return /^[\x21-\x7e]+$/.test(text) ? undefined : 'has a blank or another character that no key has'
}

/** Never throws. Without errors among the file's problems the contexts are what the file says. */
export function parseVnodeConfig(text: string): VnodeConfig {
  const { documents, problems: unreadable } = parseText(text)
  const [document, ...others] = documents
  if (document === undefined) {
    const problems = unreadable.length > 0 ? unreadable.map(withoutQuotes) : [fault('the file is empty')]
    return { contexts: [], currentContext: undefined, problems }
  }
  if (others.length > 0)
    return { contexts: [], currentContext: undefined, problems: [fault('the file has several documents')] }
  return readDocument(document)
}

function readDocument(document: TextDocument): VnodeConfig {
  const problems = new Problems(document)
  const root = asRecord(document.value)
  if (root === undefined) {
    problems.error({ path: [], message: 'must have the keys kind, contexts and current-context' })
    return { contexts: [], currentContext: undefined, problems: problems.list }
  }
  if (own(root, 'kind') !== 'vnode')
    problems.error({ path: ['kind'], message: 'must be vnode', value: own(root, 'kind') })
  for (const key of Object.keys(root)) {
    if (!['kind', 'contexts', 'current-context'].includes(key))
      problems.warn({ path: [key], message: 'is no key of this file, and is ignored', at: 'key' })
  }
  const contexts = readContexts(own(root, 'contexts'), document, problems)
  return { contexts, currentContext: readCurrent(root, contexts, problems), problems: problems.list }
}

function readContexts(value: unknown, document: TextDocument, problems: Problems): VnodeContext[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value) || asRecords(value).length !== value.length) {
    problems.error({ path: ['contexts'], message: 'must be a list of contexts, each with a name' })
    return []
  }
  const contexts = asRecords(value).map((item, at) => readContext(item, at, document))
  for (const [at, { name }] of contexts.entries()) {
    if (name === '') problems.error({ path: ['contexts', at, 'name'], message: 'is missing' })
    const first = contexts.findIndex(other => other.name === name)
    if (name !== '' && first < at)
      problems.error({
        path: ['contexts', at, 'name'],
        message: 'is the name of an earlier context too',
        value: name,
      })
  }
  return contexts
}

function readContext(item: Record<string, unknown>, at: number, document: TextDocument): VnodeContext {
  const problems = new Problems(document)
  const path = (key: string): Path => ['contexts', at, key]
  const read = (key: ContextKey): string | undefined => {
    const value = own(item, key)
    if (value === undefined || value === null || value === '') return undefined
    const text = asString(value)
    const message = text === undefined ? 'must be a string (put it in quotes)' : valueProblem(key, text)
    if (message !== undefined)
      problems.error({ path: path(key), message, ...(SECRET_KEYS.includes(key) ? {} : { value }) })
    return text
  }
  for (const key of Object.keys(item)) {
    if (key !== 'name' && !CONTEXT_KEYS.some(known => known === key))
      problems.warn({ path: path(key), message: 'is no key of a context, and is ignored', at: 'key' })
  }
  return {
    name: asString(own(item, 'name')) ?? '',
    regionId: read('region-id'),
    accessKeyId: read('access-key-id'),
    accessKeySecret: read('access-key-secret'),
    securityToken: read('security-token'),
    vswitchId: read('vswitch-id'),
    securityGroupId: read('security-group-id'),
    kubeconfig: read('kubeconfig'),
    problems: problems.list,
  }
}

/** What is wrong with a key's value, in a few words; never quotes it. */
export function valueProblem(key: ContextKey, text: string): string | undefined {
  return text.includes('****') ? 'still is the value of the sample' : CHECKS[key](text)
}

function readCurrent(
  root: Record<string, unknown>,
  contexts: readonly VnodeContext[],
  problems: Problems,
): string | undefined {
  const value = own(root, 'current-context')
  if (value === undefined || value === null || value === '') return undefined
  const name = asString(value)
  if (name === undefined)
    problems.error({ path: ['current-context'], message: 'must be the name of a context', value })
  else if (!contexts.some(context => context.name === name)) {
    const names = new Set(contexts.map(context => context.name).filter(one => one !== ''))
    const known = [...names].join(', ') || 'none'
    problems.error({
      path: ['current-context'],
      message: `names no context; there are: ${known}`,
      value: name,
    })
  }
  return name
}

/** A parser's message may quote what it stumbled over, and that may be a secret. */
function withoutQuotes(problem: Problem): Problem {
  return { ...problem, message: problem.message.replaceAll(/"[^"]*"/g, '"…"') }
}

function fault(message: string): Problem {
  return { severity: 'error', path: '', message }
}
