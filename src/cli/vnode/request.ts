/** A request as `--dry-run` shows it: exactly what would be sent, but for the secrets. */

/** Parameters that no output may show. */
const SECRET_PARAMETERS: readonly string[] = ['KubeConfig']

/** What stands for a ClientToken that is drawn when the call is made. */
export const NEW_TOKEN = 'drawn for each run'

export function renderRequest(action: string, parameters: Readonly<Record<string, unknown>>): string {
  const shown = Object.entries(parameters).map(([name, value]) => [
    name,
    SECRET_PARAMETERS.includes(name) ? hidden(value) : value,
  ])
  return `${JSON.stringify({ Action: action, ...Object.fromEntries(shown) }, null, 2)}\n`
}

function hidden(value: unknown): string {
  return `**** (${String(value).length} characters of base64)`
}
