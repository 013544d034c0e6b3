import t from 'tap'
import { decodeText } from '../../../src/core/decode-text.ts'

const TEXT = 'a: é 数 😀\n'
const little = Buffer.from(`\uFEFF${TEXT}`, 'utf16le')

const READ: Readonly<Record<string, Uint8Array>> = {
  'UTF-8': Buffer.from(TEXT),
  'UTF-8 with a byte order mark': Buffer.from(`\uFEFF${TEXT}`),
  'UTF-16, the low byte first': little,
  'UTF-16, the high byte first': Buffer.from(little).swap16(),
}

for (const [name, bytes] of Object.entries(READ)) {
  t.test(`reads ${name}`, async t => t.equal(decodeText(bytes, 'x'), TEXT))
}

t.test('nothing is nothing', async t => t.equal(decodeText(new Uint8Array(), 'x'), ''))

const REFUSED: Readonly<Record<string, readonly [Uint8Array, RegExp]>> = {
  'Latin-1': [Buffer.from('caf\u00e9', 'latin1'), /^x is not valid UTF-8$/],
  'UTF-16 that ends in the middle': [little.subarray(0, -1), /^x is not valid UTF-16LE$/],
}

for (const [name, [bytes, message]] of Object.entries(REFUSED)) {
  t.test(`refuses ${name}`, async t =>
    t.throws(() => decodeText(bytes, 'x'), { message, next: 'Save it as UTF-8.' }),
  )
}
