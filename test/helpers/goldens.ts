import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'

/**
 * Expected texts, one file each, in a folder that belongs to one test file. UPDATE_GOLDENS=1 writes them anew and removes those that
 * no test asks for; without it such a file fails the test, as it would look as if it still held something.
 */
export class Goldens {
  readonly #folder: string
  readonly #asked = new Set<string>()

  constructor(folder: string) {
    this.#folder = folder
    mkdirSync(folder, { recursive: true })
  }

  check(t: Test, name: string, text: string): void {
    const file = `${name
      .replaceAll(/[^a-z0-9]+/gi, '-')
      .replaceAll(/^-|-$/g, '')
      .toLowerCase()}.txt`
    if (this.#asked.has(file)) throw new Error(`two tests want the golden ${file}`)
    this.#asked.add(file)
    const path = join(this.#folder, file)
    if (process.env.UPDATE_GOLDENS) writeFileSync(path, text)
    const wanted = existsSync(path)
      ? readFileSync(path, 'utf8')
      : 'no such golden: run with UPDATE_GOLDENS=1 and read what it writes\n'
    t.equal(text, wanted, file)
  }

  /** Called when all texts have been checked. */
  checkUnused(t: Test): void {
    const unused = readdirSync(this.#folder).filter(file => !this.#asked.has(file))
    if (process.env.UPDATE_GOLDENS) for (const file of unused) rmSync(join(this.#folder, file))
    else t.same(unused, [], 'every golden is asked for')
  }
}
