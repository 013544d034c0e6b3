/** An API server as far as the parts of the helper that patch Pods can tell: each test says what it answers. */
import { ApiError, type ApiRequest, type KubeClient } from '../../src/kube/api.ts'

export interface PodsApi {
  readonly client: Pick<KubeClient, 'request'>
  /** The names of the Pods for which a patch was sent, in order. */
  readonly patched: readonly string[]
  readonly patches: readonly ApiRequest[]
}

/** `answer` is given the last part of the path: the name of a Pod, or of its owner. */
export function podsApi(answer: (name: string, method: string) => unknown): PodsApi {
  const patched: string[] = []
  const patches: ApiRequest[] = []
  const request = async <T>(asked: ApiRequest): Promise<T> => {
    const { method, path } = asked
    const name = path.slice(path.lastIndexOf('/') + 1)
    if (method === 'PATCH') {
      patched.push(name)
      patches.push(asked)
    }
    return answer(name, method) as T
  }
  return { client: { request }, patched, patches }
}

export function refuse(status: number): never {
  throw new ApiError('a test says no', { status })
}

/** An answer by which the first patch is refused, since the Pod is what `read` gives by now; the next one is taken. */
export function refuseOnce(status: number, read: (name: string) => unknown) {
  let isRefused = false
  return (name: string, method: string): unknown => {
    if (method === 'GET') return read(name)
    if (isRefused) return {}
    isRefused = true
    return refuse(status)
  }
}

/** The versions of the Pods that the patches were made on. */
export function versionsOf(patches: readonly ApiRequest[]): unknown[] {
  return patches.map(({ body }) => (body as { value: unknown }[])[0]?.value)
}
