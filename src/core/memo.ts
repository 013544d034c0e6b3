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

/**
 * The same for what is asked about objects, which must never change either; an answer is forgotten along with its object. For objects
 * that many requests share: of one that a request makes for itself the answer is only in the way.
 */
export function memoizeByObject<K extends object, T>(read: (object: K) => T): (object: K) => T {
  const kept = new WeakMap<K, { readonly answer: T }>()
  return object => {
    const known = kept.get(object)
    if (known !== undefined) return known.answer
    const answer = read(object)
    kept.set(object, { answer })
    return answer
  }
}
