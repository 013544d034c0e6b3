const SECONDS: ReadonlyMap<string, number> = new Map([
  ['ns', 1e-9],
  ['us', 1e-6],
  ['µs', 1e-6],
  ['μs', 1e-6],
  ['ms', 1e-3],
  ['s', 1],
  ['m', 60],
  ['h', 3600],
])

/** Go counts nanoseconds in 64 bits. */
const LONGEST = 2 ** 63 / 1e9

/** A Go duration (`1h30m`, `1.5s`, `0`) in seconds; undefined if it is not one, or is negative. Source: Go's time.ParseDuration. */
export function parseDuration(text: string): number | undefined {
  if (/^\+?0$/.test(text)) return 0
  if (!/^\+?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(text)) return undefined
  let seconds = 0
  for (const [, amount, unit = ''] of text.matchAll(/([\d.]+)([a-zµμ]+)/g)) {
    seconds += Number(amount) * Number(SECONDS.get(unit))
  }
  return seconds < LONGEST ? seconds : undefined
}

/** Seconds, to the microsecond, as a Go duration: 90 becomes `1m30s`, 0 becomes `0s`. */
export function renderDuration(seconds: number): string {
  const total = roundToMicros(seconds)
  const minutes = Math.floor(total / 60)
  const parts = [
    [Math.floor(minutes / 60), 'h'],
    [minutes % 60, 'm'],
    [roundToMicros(total - minutes * 60), 's'],
  ] as const
  const text = parts.map(([amount, unit]) => (amount > 0 ? `${amount}${unit}` : '')).join('')
  return text === '' ? '0s' : text
}

function roundToMicros(seconds: number): number {
  return Math.round(seconds * 1e6) / 1e6
}
