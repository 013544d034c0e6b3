/** The longest name that is a label's value too, which people like to make of it; some of it is for a number. */
const LONGEST = 63 - 5

/** Makes names of resources from free text: `CI jobs (spot)` becomes `ci-jobs-spot`, and a second one `ci-jobs-spot-2`. */
export class NameMaker {
  readonly #taken: Set<string>

  constructor(taken: Iterable<string>) {
    this.#taken = new Set(taken)
  }

  make(text: string): string {
    const words = text
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .slice(0, LONGEST)
    const base = words.replaceAll(/^-|-$/g, '') || 'rule'
    let name = base
    for (let number = 2; this.#taken.has(name); number++) name = `${base}-${number}`
    this.#taken.add(name)
    return name
  }
}
