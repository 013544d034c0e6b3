/** The kubeconfig that is sent to ECI: read, judged, and only the part of it that a VNode needs. */
import { readFile } from 'node:fs/promises'
import { isMap, isSeq, parseDocument } from 'yaml'
import { messageOf, VnodeError } from '../../core/errors.ts'
import { judgeKubeconfig } from '../../core/vnode/kubeconfig.ts'
import type { Io } from '../io.ts'

export interface KubeconfigOptions {
  readonly file: string
  /** The API server's address for VNodes, in place of the file's. */
  readonly apiserver: string | undefined
  readonly serviceIPs: readonly string[]
  readonly leastLifeMs: number
}

export interface VnodeKubeconfig {
  readonly text: string
  readonly server: string
}

/** Throws everything that keeps a VNode from using it, at once. */
export async function vnodeKubeconfig(options: KubeconfigOptions, io: Io): Promise<VnodeKubeconfig> {
  const { file, apiserver, serviceIPs, leastLifeMs } = options
  const given = await readFile(file, 'utf8').catch(error => {
    throw new VnodeError('KUBECONFIG', messageOf(error))
  })
  const text = apiserver === undefined ? given : withServer(given, apiserver)
  const judged = judgeKubeconfig(text, { serviceIPs, leastLifeMs, now: new Date() })
  for (const warning of judged.warnings) io.stderr(`vnode: warning: ${file}: ${warning}\n`)
  if (judged.text !== undefined) return { text: judged.text, server: judged.server }
  const what = judged.problems.map(({ message }) => message).join('; ')
  const fixes = [...new Set(judged.problems.map(({ fix }) => fix))]
  const isAddress = apiserver === undefined && judged.problems.some(({ message }) => message.includes('://'))
  throw new VnodeError('KUBECONFIG', `${file}: ${what}`, {
    next: [...fixes, ...(isAddress ? ['--apiserver sends another address than the file has.'] : [])].join(
      '\n',
    ),
  })
}

/** What cannot be read is left as it is, for the judge. */
function withServer(text: string, server: string): string {
  const document = parseDocument(text, { logLevel: 'silent' })
  const named = (list: string, name: unknown) => {
    const entries = document.get(list)
    const items = isSeq(entries) ? entries.items.filter(item => isMap(item)) : []
    return items.find(item => item.get('name') === name)
  }
  const context = named('contexts', document.get('current-context'))
  const cluster = named('clusters', context?.getIn(['context', 'cluster']))
  if (cluster === undefined) return text
  cluster.setIn(['cluster', 'server'], server)
  return document.toString({ lineWidth: 0 })
}
