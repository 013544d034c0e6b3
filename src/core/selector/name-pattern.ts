/** `namespaces: ["team-*", "!team-x"]`: name patterns with `*` and `?`; a leading `!` takes names out again. */
import type { Path, Problems } from './problem.ts'

export interface NamePatterns {
  /** As they were written, for people. */
  readonly patterns: readonly string[]
  /** A name passes if it matches any of these (all names, when there are none) … */
  readonly include: readonly string[]
  /** … and none of these. */
  readonly exclude: readonly string[]
}

export function matchesName({ include, exclude }: NamePatterns, name: string): boolean {
  return (
    (include.length === 0 || include.some(one => matchesWildcard(one, name))) &&
    !exclude.some(one => matchesWildcard(one, name))
  )
}

/** Names that the patterns can only match literally; undefined when a wildcard, or nothing but exclusions, leaves them open. */
export function literalNames({ include }: NamePatterns): readonly string[] | undefined {
  return include.length > 0 && include.every(pattern => !/[*?]/.test(pattern)) ? include : undefined
}

/** Compiles the list; absent means every namespace, an empty list is an error, because it could be meant either way. */
export function compileNamePatterns(
  value: unknown,
  path: Path,
  problems: Problems,
): NamePatterns | undefined {
  if (value === undefined || value === null) return undefined
  if (!Array.isArray(value) || value.length === 0) {
    problems.error({
      path,
      value,
      message: 'must be a list of at least one namespace name pattern, such as ["team-*", "!team-x"]',
    })
    return undefined
  }
  const patterns = value.flatMap((item: unknown, index) =>
    checkPattern(item, [...path, index], problems) ? [item] : [],
  )
  return {
    patterns,
    include: patterns.filter(pattern => !pattern.startsWith('!')),
    exclude: patterns.filter(pattern => pattern.startsWith('!')).map(pattern => pattern.slice(1)),
  }
}

function checkPattern(value: unknown, path: Path, problems: Problems): value is string {
  // 63 characters is the longest namespace name.
  const isFine = typeof value === 'string' && /^!?[a-z0-9*?-]{1,63}$/.test(value)
  if (!isFine) {
    problems.error({
      path,
      value,
      message:
        'must be a namespace name, in which * stands for any characters and ? for one, with ! in front to exclude',
    })
  }
  return isFine
}

/** Goes back to the last star only, so that no pattern costs more than its length times the name's (a RegExp could). */
function matchesWildcard(pattern: string, name: string): boolean {
  let at = 0
  let star = -1
  let resume = 0
  for (let index = 0; index < name.length; ) {
    if (pattern[at] === '*') {
      star = at++
      resume = index
    } else if (pattern[at] === name[index] || pattern[at] === '?') {
      at++
      index++
    } else if (star >= 0) {
      at = star + 1
      index = ++resume
    } else return false
  }
  while (pattern[at] === '*') at++
  return at === pattern.length
}
