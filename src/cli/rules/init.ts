/** `vnode rules init`: the rules ConfigMap with the default rules, where there is none; the chart runs it after an installation. */
import { RULES_KEY } from '../../core/names.ts'
import { DEFAULT_RULES } from '../../core/selector/default-rules.ts'
import { isStatus, type KubeClient } from '../../kube/api.ts'
import { resourcePath } from '../../kube/path.ts'
import type { Io } from '../io.ts'

export interface InitOptions {
  readonly rulesNamespace: string
  readonly rulesName: string
  readonly isDryRun: boolean
  readonly connect: () => Promise<KubeClient>
}

export async function runInit(options: InitOptions, io: Io): Promise<void> {
  const { rulesNamespace, rulesName, isDryRun } = options
  const client = await options.connect()
  try {
    const isMade = await create(client, options)
    const verb = isDryRun ? 'would be made' : 'made'
    const what = isMade ? `${verb} with the default rules` : 'is there already; left as it is'
    io.stdout(`ConfigMap ${rulesNamespace}/${rulesName}: ${what}\n`)
  } finally {
    await client.close()
  }
}

/**
 * False if it exists. A POST, and nothing that reads first: of all requests it alone can neither change nor lose what somebody else
 * wrote a moment before. In a dry run the API server answers as it would.
 */
async function create(
  client: KubeClient,
  { rulesNamespace, rulesName, isDryRun }: InitOptions,
): Promise<boolean> {
  try {
    await client.request({
      method: 'POST',
      path: resourcePath({ version: 'v1', plural: 'configmaps', namespace: rulesNamespace }),
      query: { dryRun: isDryRun ? 'All' : undefined },
      body: {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: rulesName, namespace: rulesNamespace },
        data: { [RULES_KEY]: DEFAULT_RULES },
      },
    })
    return true
  } catch (error) {
    if (isStatus(error, 409)) return false
    throw error
  }
}
