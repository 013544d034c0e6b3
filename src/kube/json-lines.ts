import { VnodeError } from '../core/errors.ts'

const NEWLINE = 0x0a

/**
 * The JSON values of a body that has one on each line. Lines are cut as bytes and decoded whole, so that a character
 * that is split between two chunks stays itself. A last line without its newline is a torn one and is dropped.
 */
export async function* jsonLines<T>(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<T> {
  let parts: Uint8Array[] = []
  let size = 0
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      parts.push(chunk.subarray(start, end))
      limit(size + end - start, maxBytes)
      const line = Buffer.concat(parts).toString('utf8')
      parts = []
      size = 0
      start = end + 1
      if (line.trim() !== '') yield parseLine<T>(line)
    }
    if (start < chunk.length) parts.push(chunk.subarray(start))
    size += chunk.length - start
    limit(size, maxBytes)
  }
}

function limit(size: number, maxBytes: number): void {
  if (size > maxBytes) throw new VnodeError('API', `the server sent a line of more than ${maxBytes} bytes`)
}

function parseLine<T>(line: string): T {
  try {
    return JSON.parse(line) as T
  } catch {
    // The parser's message quotes the text, which may be a Secret's.
    throw new VnodeError('API', 'the server sent a line that is not JSON')
  }
}
