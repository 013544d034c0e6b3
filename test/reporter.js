// A reporter for logs: passes the TAP through, says again at its end which tests failed, and closes with one plain line,
// `4 passed, 2 failed, 2 skipped`. Of a long log often only the end is kept.
import { Transform } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'

export default class Counts extends Transform {
  #summary
  #line = ''
  #decoder = new StringDecoder()
  // By depth: what failed in tests that are not over yet. A test comes after its parts.
  #failed = []

  _transform(chunk, _encoding, done) {
    const lines = (this.#line + this.#decoder.write(chunk)).split('\n')
    this.#line = lines.pop()
    for (const line of lines) this.#read(line)
    done(null, chunk)
  }

  #read(line) {
    this.#summary = /^# \{ (total: .*) \}$/.exec(line)?.[1] ?? this.#summary
    const [, indent, not, name, excuse] =
      /^((?: {4})*)(not )?ok \d+(?: - (.*?))?(?: # (?:time.*|(skip|todo).*))?$/i.exec(line) ?? []
    if (indent === undefined) return
    const depth = indent.length / 4
    const [parts] = this.#failed.splice(depth + 1)
    if (not === undefined || excuse !== undefined) return
    this.#failed[depth] ??= []
    this.#failed[depth].push(...(parts?.map(part => `${name} > ${part}`) ?? [name]))
  }

  _flush(done) {
    this.#read(this.#line)
    // Without a summary the run itself broke off, and that must not look like a success.
    const { pass = 0, fail = 0, skip = 0 } = this.#summary === undefined ? { fail: 1 } : parse(this.#summary)
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
