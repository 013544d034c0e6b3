import { test } from 'tap'
import { jsonLines } from '../../../src/kube/json-lines.ts'

async function* chunksOf(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function collect(bytes: Buffer, size: number, maxBytes = 1000): Promise<unknown[]> {
  const values: unknown[] = []
  for await (const value of jsonLines<unknown>(chunksOf(bytes, size), maxBytes)) values.push(value)
  return values
}

test('lines of JSON', async t => {
  const values = [{ name: 'größe 中文 🚀' }, [], 'x', 0]
  const text = Buffer.from(values.map(value => `${JSON.stringify(value)}\n`).join(''))

  t.test('come out whole wherever the chunks are cut', async t => {
    for (const size of [1, 2, 3, 5, 7, 64, 1000])
      t.strictSame(await collect(text, size), values, `chunks of ${size}`)
  })

  t.test('without a newline at the end are torn and dropped', async t => {
    t.strictSame(await collect(Buffer.from('{"a":1}\n{"a":'), 4), [{ a: 1 }])
  })

  t.test('may be empty or end in CRLF', async t => {
    t.strictSame(await collect(Buffer.from('\n1\r\n\n2\n'), 3), [1, 2])
  })

  t.test('beyond the limit are an error, in one chunk or in many', async t => {
    const long = Buffer.from(`"${'x'.repeat(50)}"\n`)
    for (const size of [1, 10, 100]) {
      await t.rejects(
        collect(long, size, 40),
        { code: 'API', message: /more than 40 bytes/ },
        `chunks of ${size}`,
      )
    }
    t.strictSame(await collect(Buffer.from(`"${'x'.repeat(38)}"\n`), 10, 40), ['x'.repeat(38)])
  })

  t.test('that are not JSON are an error that does not quote them', async t => {
    const error = await collect(Buffer.from('hunter2\n'), 100).then(
      () => undefined,
      (reason: Error) => reason,
    )
    t.match(error, { code: 'API' })
    t.notMatch(error?.message, /hunter2/)
  })
})
