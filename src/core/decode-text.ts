import { VnodeError } from './errors.ts'

/** The text of a file, which is UTF-8 or says at its beginning that it is UTF-16, as what Windows' shells redirect does. Throws BAD_FILE for any other. */
export function decodeText(bytes: Uint8Array, name: string): string {
  const encoding = encodingOf(bytes)
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch (error) {
    // Read all the same, characters would be others without a word.
    throw new VnodeError('BAD_FILE', `${name} is not valid ${encoding.toUpperCase()}`, {
      cause: error,
      next: 'Save it as UTF-8.',
    })
  }
}

function encodingOf([first, second]: Uint8Array): 'utf-8' | 'utf-16le' | 'utf-16be' {
  if (first === 0xff && second === 0xfe) return 'utf-16le'
  return first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8'
}
