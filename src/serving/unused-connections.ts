/** Connections that a client has opened and not used yet. */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Lets them be idle for `idleMs`, like those between two requests. Go's client opens more connections than it then needs, and keeps them for
 * 90 s. To Node their first request has begun with the connection: it would soon be answered with 408, and an API server that is just about
 * to use that connection takes the 408 for the answer to its review (observed), so that a Pod is missed, or refused under Fail.
 * A request of which anything has arrived is timed as before.
 */
export function keepUnused(server: Server, idleMs: number): void {
  const others = server.listeners('clientError')
  server.removeAllListeners('clientError')
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    // Of TLS this counts what was in it.
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0) socket.setTimeout(idleMs)
    else for (const other of others) Reflect.apply(other, server, [error, socket])
  })
}
