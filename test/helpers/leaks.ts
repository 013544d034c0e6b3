/** Looking for secrets wherever somebody else could read them. */
import { readdirSync, readFileSync } from 'node:fs'

/** What must not be seen, by name. */
export class Secrets {
  readonly #forms = new Map<string, readonly string[]>()

  add(name: string, value: string): void {
    if (value.length < PREFIX) throw new Error(`${name} is too short to be looked for`)
    this.#forms.set(name, formsOf(value))
  }

  get names(): string[] {
    return [...this.#forms.keys()].toSorted()
  }

  /** Names of those that the text has, whole, cut off or encoded. */
  foundIn(text: string): string[] {
    const found = [...this.#forms].filter(([, forms]) => forms.some(form => text.includes(form)))
    return found.map(([name]) => name).toSorted()
  }
}

/** So many characters of a secret are too many. */
const PREFIX = 12

function formsOf(value: string): string[] {
  return [value.slice(0, PREFIX), encodeURIComponent(value), ...[0, 1, 2].map(at => base64At(value, at))]
}

/** As it is in the base64 of a longer text, where it begins there at some multiple of three bytes and so many more. */
function base64At(value: string, offset: number): string {
  const length = offset + Buffer.byteLength(value)
  const encoded = Buffer.concat([Buffer.alloc(offset), Buffer.from(value)]).toString('base64')
  // Without the characters at both ends that depend on what is beside it.
  return encoded.slice(Math.ceil((offset * 8) / 6), Math.floor((length * 8) / 6))
}

const LOOK_MS = 20

/** Command lines of whatever runs below this process, looked at again and again: anybody on the machine can read them. */
export class CommandLines {
  readonly #seen = new Set<string>()
  readonly #timer = setInterval(() => this.#look(process.pid), LOOK_MS).unref()

  get text(): string {
    return [...this.#seen].join('\n')
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #look(pid: number): void {
    for (const child of childrenOf(pid)) {
      const line = read(`/proc/${child}/cmdline`).replaceAll('\0', ' ')
      if (line !== '') this.#seen.add(line)
      this.#look(child)
    }
  }
}

function childrenOf(pid: number): number[] {
  try {
    const threads = readdirSync(`/proc/${pid}/task`)
    const lists = threads.map(thread => read(`/proc/${pid}/task/${thread}/children`))
    return lists.flatMap(list => list.split(' ').filter(Boolean).map(Number))
  } catch {
    return []
  }
}

/** Empty where the process has ended meanwhile. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
