/** A text in which ‸ marks the places that a case is about: what the reader sees is what the code is to find. */
export interface MarkedText {
  readonly text: string
  /** Line and column of each mark, in order, both from 1. */
  readonly places: readonly { readonly line: number; readonly column: number }[]
}

export function readMarks(marked: string): MarkedText {
  const [first = '', ...rest] = marked.split('‸')
  let text = first
  const places = rest.map(part => {
    // A byte order mark at the start takes no column.
    const lines = text.replace(/^\uFEFF/, '').split('\n')
    text += part
    return { line: lines.length, column: (lines.at(-1) ?? '').length + 1 }
  })
  return { text, places }
}
