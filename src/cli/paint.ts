/** Colours, or none. */
import { styleText } from 'node:util'

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

/** Returns the text in the style, or just the text. */
export type Paint = (style: Style, text: string) => string

export function painter(hasColor: boolean): Paint {
  // Whether the reader wants colour has been decided; styleText is not to ask stdout again.
  return (style, text) => (hasColor ? styleText(style, text, { validateStream: false }) : text)
}

export const PLAIN: Paint = (_, text) => text
