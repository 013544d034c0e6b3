/** JSON that has gone wrong in every way that JSON can, the same in every run. */
import type { Random } from './random.ts'

const KEYS = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '',
  '0',
  'length',
  'a/b~c',
  '~1',
  '\ud800',
  '\u0000',
  'metadata',
  'spec',
  'labels',
  'annotations',
  'tolerations',
] as const

/** Values as they stand in the text: JSON.stringify would tidy some of them. */
const VALUES = [
  'null',
  'true',
  'false',
  '0',
  '-0',
  '1e999',
  '-1e999',
  '1e-999',
  '9007199254740993',
  '0.1',
  '300',
  '2147483648',
  '""',
  '"\\u0000"',
  '"\\ud800"',
  '"\\udfff\\ud800"',
  '"true"',
  '"virtual-kubelet"',
  '"__proto__"',
  '"\u2028"',
  '"a\\nb\\u001b[31m"',
  '[]',
  '[null]',
  '[[]]',
  '[1,"a",{}]',
  '{}',
  '{"__proto__":{"a":"b"}}',
  '{"constructor":{"prototype":{"x":1}}}',
  '{"length":4294967295}',
  '{"toString":null,"valueOf":null}',
  '{"key":7,"operator":"Exists","effect":[]}',
  '{"matchExpressions":{}}',
] as const

/** What no JSON has: the reader is to say so. */
const BROKEN = [
  'NaN',
  'Infinity',
  'undefined',
  '01',
  '+1',
  '.5',
  "'a'",
  '"\\x41"',
  '"\t"',
  '',
  ',',
  ']',
  '}',
] as const

interface Place {
  readonly parent: unknown[] | Record<string, unknown>
  readonly key: string
}

/** Stands in a value for text that goes in as it is. */
const MARK = '\u0001raw:'

/** The value with so many things done to it, as text: mostly JSON. */
export function mutateStructure(random: Random, value: unknown, count: number): string {
  const root: unknown[] = [structuredClone(value)]
  const raw: string[] = []
  const insert = (text: string) => `${MARK}${raw.push(text) - 1}\u0001`
  for (let done = 0; done < count; done += 1) mutateOnce(random, placesIn(root), insert)
  const text = JSON.stringify(root[0]) ?? 'null'
  return text.replaceAll(/"\\u0001raw:(\d+)\\u0001"/g, (_, index: string) => raw[Number(index)] ?? 'null')
}

function placesIn(root: unknown[]): Place[] {
  const places: Place[] = []
  const visit = (parent: Place['parent']) => {
    for (const [key, child] of Object.entries(parent)) {
      places.push({ parent, key })
      if (isContainer(child)) visit(child)
    }
  }
  visit(root)
  return places
}

function mutateOnce(random: Random, places: readonly Place[], insert: (text: string) => string): void {
  const place = places[random.below(places.length)]
  if (place === undefined) return
  const { parent, key } = place
  const current = Array.isArray(parent) ? parent[Number(key)] : parent[key]
  const dice = random.fraction()
  if (dice < 0.45) put(place, insert(random.one(VALUES)))
  else if (dice < 0.48) put(place, insert(random.one(BROKEN)))
  else if (dice < 0.6) remove(place)
  else if (dice < 0.7) put(place, [current])
  else if (dice < 0.78) put(place, { [random.one(KEYS)]: current })
  else if (dice < 0.84) put(place, Array(random.below(20)).fill(current))
  else if (dice < 0.94 && isContainer(current)) addMember(random, current, insert)
  else put(place, insert(duplicated(random, current)))
}

function addMember(random: Random, container: Place['parent'], insert: (text: string) => string): void {
  const value = insert(random.one(VALUES))
  if (Array.isArray(container)) container.splice(random.below(container.length + 1), 0, value)
  // An own member, also by the name __proto__.
  else
    Object.defineProperty(container, random.one(KEYS), {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    })
}

/** An object that has a key twice. */
function duplicated(random: Random, value: unknown): string {
  if (!isContainer(value) || Array.isArray(value)) return '{"a":1,"a":2}'
  const text = JSON.stringify(value)
  const [key = 'a'] = Object.keys(value)
  const comma = text === '{}' ? '' : ','
  // Marks inside are lost to the outer text: what is duplicated is without further faults.
  return text.includes('raw:')
    ? '{"a":1,"a":2}'
    : `{${JSON.stringify(key)}:${random.one(VALUES)}${comma}${text.slice(1)}`
}

function put({ parent, key }: Place, value: unknown): void {
  if (Array.isArray(parent)) parent[Number(key)] = value
  else Object.defineProperty(parent, key, { value, enumerable: true, configurable: true, writable: true })
}

function remove({ parent, key }: Place): void {
  if (Array.isArray(parent)) parent.splice(Number(key), 1)
  else delete parent[key]
}

/** The bytes with some of them changed, lost, doubled, moved or cut off. */
export function mutateBytes(random: Random, bytes: Buffer, count: number): Buffer {
  let changed = Buffer.from(bytes)
  for (let done = 0; done < count && changed.length > 0; done += 1) {
    const at = random.below(changed.length)
    const end = Math.min(changed.length, at + 1 + random.below(40))
    const [before, middle, after] = [
      changed.subarray(0, at),
      changed.subarray(at, end),
      changed.subarray(end),
    ]
    const dice = random.fraction()
    if (dice < 0.4) changed[at] = random.below(256)
    else if (dice < 0.55) changed = Buffer.concat([before, after])
    else if (dice < 0.7) changed = Buffer.concat([before, middle, middle, after])
    else if (dice < 0.85)
      changed = Buffer.concat([
        before,
        Buffer.from(random.one(['"', '{', '}', '[', ']', ',', ':', '\\', '\n', '#', '- ', ': '])),
        middle,
        after,
      ])
    else if (dice < 0.95) changed = Buffer.concat([after, middle, before])
    else changed = Buffer.from(before)
  }
  return changed
}

function isContainer(value: unknown): value is Place['parent'] {
  return typeof value === 'object' && value !== null
}
