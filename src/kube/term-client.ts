import type { KubeClient } from './api.ts'
import type { Term } from './term.ts'

/**
 * The client of one term: all it does ends with the term, and before each write it is asked once more whether the term is held. That does
 * not fence (see LeaderElector), so writes carry preconditions as well.
 */
export function clientOf(term: Pick<Term, 'signal' | 'assertHeld'>, client: KubeClient): KubeClient {
  const within = (signal: AbortSignal | undefined) =>
    signal === undefined ? term.signal : AbortSignal.any([term.signal, signal])
  return {
    server: client.server,
    namespace: client.namespace,
    request: async request => {
      if (request.method !== 'GET') term.assertHeld()
      return client.request({ ...request, signal: within(request.signal) })
    },
    stream: request => client.stream({ ...request, signal: within(request.signal) }),
    apply: async (path, object, options = {}) => {
      term.assertHeld()
      return client.apply(path, object, { ...options, signal: within(options.signal) })
    },
    // The connections are shared with the election.
    close: async () => {},
  }
}
