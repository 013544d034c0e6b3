// A reporter for logs: passes the TAP through, says again at its end which tests failed, and closes with one plain line,
// `4 passed, 2 failed, 2 skipped`. Of a long log often only the end is kept.
import { Transform } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'

const LONGEST_SUMMARY = 4096

export default class Counts extends Transform {
  #end = ''
  #line = ''
  #decoder = new StringDecoder()
  // By depth: what failed in tests that are not over yet. A test comes after its parts.
  #failed = []

  _transform(chunk, _encoding, done) {
    const text = this.#decoder.write(chunk)
    this.#end = (this.#end + text).slice(-LONGEST_SUMMARY)
    const lines = (this.#line + text).split('\n')
    this.#line = lines.pop()
    for (const line of lines) this.#read(line)
    done(null, chunk)
  }

  #read(line) {
    const [, indent, not, name, directive] =
      /^((?: {4})*)(not )?ok \d+(?: - (.*?))?(?: # (time|skip|todo).*)?$/i.exec(line) ?? []
    if (indent === undefined) return
    const depth = indent.length / 4
    const parts = this.#failed[depth + 1] ?? []
    this.#failed.length = Math.min(this.#failed.length, depth + 1)
    if (!not || /skip|todo/i.test(directive ?? '')) return
    const paths = parts.length > 0 ? parts.map(part => `${name} > ${part}`) : [name]
    this.#failed[depth] = [...(this.#failed[depth] ?? []), ...paths]
  }

  _flush(done) {
    const summary = [...this.#end.matchAll(/^# \{ (total: .*) \}$/gm)].at(-1)?.[1]
    // Without a summary the run itself broke off, and that must not look like a success.
    const { pass = 0, fail = 0, skip = 0 } = summary === undefined ? { fail: 1 } : parse(summary)
    const failed = (this.#failed[0] ?? []).map(path => `failed: ${path}\n`).join('')
    done(null, `\n${failed}${pass} passed, ${fail} failed${skip > 0 ? `, ${skip} skipped` : ''}\n`)
  }
}

function parse(summary) {
  return Object.fromEntries(
    summary.split(', ').map(part => {
      const [name, count] = part.split(': ')
      return [name, Number(count)]
    }),
  )
}
