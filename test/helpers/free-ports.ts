import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Ports below the range from which Linux takes the ports of outgoing connections: a port of that range can be taken
 * between the look and the use, and a client that calls a stopped server there can end up connected to itself.
 */
const FIRST = 15_000
const LAST = 32_000

/** Ports on the loopback address that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = []
  for (let attempt = 0; servers.length < count && attempt < 200; attempt += 1) {
    const server = createServer()
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST))
    server.listen({ host: '127.0.0.1', port })
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    // All are held until the last is found, so that no port is found twice.
    if (isFree) servers.push({ server, port })
  }
  if (servers.length < count) throw new Error(`no ${count} free ports between ${FIRST} and ${LAST}`)
  await Promise.all(servers.map(({ server }) => once(server.close(), 'close')))
  return servers.map(({ port }) => port)
}
