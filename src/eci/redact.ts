/** What a server or a library says may quote what it was sent. */

const LONGEST = 400
/** Longer runs are credentials, signatures or base64 rather than words; ids and request ids (36) are shorter. */
const LONG_RUN = /[\w+/=%-]{48,}/g

/** In what is said about credentials, which may be the credentials themselves: a secret has 30 characters. */
export const SHORT_RUN = /[\w+/=]{24,}/g

/** The text in one line, without any of the secrets, without long runs that could be one, and no longer than a message should be. */
export function redact(
  text: string,
  secrets: readonly (string | undefined)[],
  run: RegExp = LONG_RUN,
): string {
  let clean = text.replaceAll(/\s+/g, ' ').trim()
  for (const secret of secrets) {
    if (secret !== undefined && secret !== '') clean = clean.replaceAll(secret, '…')
  }
  clean = clean.replaceAll(run, '…')
  return clean.length > LONGEST ? `${clean.slice(0, LONGEST)}…` : clean
}

/** An AccessKey id as it may be shown: its first four characters. */
export function maskedAccessKeyId(accessKeyId: string): string {
  return `${accessKeyId.slice(0, 4)}****`
}
