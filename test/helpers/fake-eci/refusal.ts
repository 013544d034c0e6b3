/** An answer that refuses, with the API's own code. */
export class Refusal extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** As Alibaba Cloud's gateway says of a parameter that a call cannot do without. */
export function missing(parameter: string): Refusal {
  return new Refusal(400, `Missing${parameter}`, `${parameter} is mandatory for this action.`)
}

export function invalid(parameter: string, why: string): Refusal {
  return new Refusal(400, `InvalidParameter.${parameter}`, `The specified ${parameter} is invalid: ${why}`)
}
