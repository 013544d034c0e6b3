/** Longer texts are not kept: whoever sends them would fill our memory. */
const LONGEST_TEXT = 256
/** Of so many texts the answers are kept; then all are forgotten, which is simpler than to keep account of their age. */
const MOST_TEXTS = 1024

/**
 * The same pure function of a text, which keeps its answers: rules and the Pods of one Deployment say the same few things time and
 * again. The answers are shared, so they must be values that nobody changes.
 */
export function memoize<T>(read: (text: string) => T): (text: string) => T {
  const kept = new Map<string, { readonly answer: T }>()
  return text => {
    const known = kept.get(text)
    if (known !== undefined) return known.answer
    const answer = read(text)
    if (text.length > LONGEST_TEXT) return answer
    if (kept.size >= MOST_TEXTS) kept.clear()
    kept.set(text, { answer })
    return answer
  }
}
