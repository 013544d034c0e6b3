/** Requests as `--dry-run` shows them, exactly what would be sent, but for the secrets; and what came of them. */
import { stringify } from 'yaml'
import type { AnswerOutput } from '../output-format.ts'

/** Parameters that no output may show. */
const SECRET_PARAMETERS: readonly string[] = ['KubeConfig']

/** What stands for a ClientToken that is drawn when the call is made. */
export const NEW_TOKEN = 'drawn for each run'

export interface RenderedRequest {
  readonly action: string
  readonly parameters: Readonly<Record<string, unknown>>
}

export function renderRequest({ action, parameters }: RenderedRequest, output: AnswerOutput): string {
  const shown = Object.entries(parameters).map(([name, value]) => [
    name,
    SECRET_PARAMETERS.includes(name) ? hidden(value) : value,
  ])
  const request = { Action: action, ...Object.fromEntries(shown) }
  return output === 'json' ? `${JSON.stringify(request, null, 2)}\n` : stringify(request, { lineWidth: 0 })
}

/** As VNodectl does: one line of JSON. */
export function renderAnswer(answer: Readonly<Record<string, string>>, output: AnswerOutput): string {
  return output === 'json' ? `${JSON.stringify(answer)}\n` : stringify(answer)
}

function hidden(value: unknown): string {
  return `**** (${String(value).length} characters of base64)`
}
