import { cutText } from '../core/selector/problem.ts'

/** Longer values are for -o json. */
const LONGEST = 200

/** Control characters, line breaks that only Unicode knows, and what turns the direction of writing. */
const OBEYED = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/**
 * Text of a manifest for one line of a terminal or a comment: an annotation may hold line breaks, and sequences that a terminal obeys.
 */
export function plainText(text: string): string {
  return text.replaceAll(OBEYED, escapeOf)
}

/** The same for text that has lines of its own. Of JSON, and of what YAML has in double quotes, it changes the spelling alone. */
export function plainLines(text: string): string {
  return text.replaceAll(OBEYED, character => (/[\n\t]/.test(character) ? character : escapeOf(character)))
}

/** The same for values, of which there can be a quarter of a megabyte. */
export function shortText(text: string): string {
  const visible = plainText(text)
  return visible.length > LONGEST ? `${cutText(visible, LONGEST)}…` : visible
}

function escapeOf(character: string): string {
  if (character === '\n') return '\\n'
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
