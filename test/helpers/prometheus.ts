interface Sample {
  readonly name: string
  readonly labels: ReadonlyMap<string, string>
  readonly value: number
}

/** The samples of a Prometheus text. */
export class Samples {
  readonly #samples: readonly Sample[]

  constructor(text: string) {
    this.#samples = text.split('\n').flatMap(readSample)
  }

  /** The sum of the samples with this name and, among others, these labels; undefined if there is none. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    const wanted = Object.entries(labels)
    const found = this.#samples.filter(
      sample => sample.name === name && wanted.every(([key, value]) => sample.labels.get(key) === value),
    )
    return found.length === 0 ? undefined : found.reduce((sum, sample) => sum + sample.value, 0)
  }
}

function readSample(line: string): Sample[] {
  const [, name, labels = '', value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
  if (name === undefined || value === undefined) return []
  const pairs = labels.matchAll(/(\w+)="((?:\\.|[^"\\])*)"/g)
  return [
    {
      name,
      labels: new Map([...pairs].map(([, key = '', text = '']) => [key, text])),
      value: value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value),
    },
  ]
}
