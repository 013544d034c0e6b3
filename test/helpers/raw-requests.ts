/** Connections and requests as bytes, for clients that do what no HTTP library would. */
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { Test } from 'tap'
import { Answers, type HttpAnswer, type LoadTarget } from './load-client.ts'
import { makePod } from './pods.ts'
import { makePodReview, PODS } from './review-app.ts'

/** A review as text, of a Pod that the rules of these tests send to VNodes. */
export const REVIEW = JSON.stringify(makePodReview(makePod({ labels: { eci: 'true' } })))

/** The header of a review that is so many bytes long. */
export function headOf(length: number): string {
  return `POST ${PODS} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`
}

export const REQUEST = headOf(REVIEW.length) + REVIEW

/** A connection after its handshake; it ends with the test. */
export async function tlsTo(t: Test, { port, caPem }: LoadTarget): Promise<TLSSocket> {
  const socket = connectTls({ host: '127.0.0.1', port, ca: caPem, servername: 'localhost' })
  socket.on('error', () => undefined)
  t.teardown(() => socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

/** A connection without TLS, over which these bytes have gone. */
export async function tcpTo(
  t: Test,
  { port }: Pick<LoadTarget, 'port'>,
  bytes?: string | Buffer,
): Promise<Socket> {
  const socket = connectTcp({ host: '127.0.0.1', port })
  socket.on('error', () => undefined)
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  if (bytes !== undefined) socket.write(bytes)
  return socket
}

/** The answer to these bytes over a connection of their own. */
export async function answerTo(
  t: Test,
  target: LoadTarget,
  bytes: string | Buffer = REQUEST,
): Promise<HttpAnswer> {
  const socket = await tlsTo(t, target)
  socket.write(bytes)
  const answer = await new Answers(socket).next()
  socket.destroy()
  return answer
}

/** Whether somebody listens. */
export async function accepts(port: number): Promise<boolean> {
  const socket = connectTcp({ host: '127.0.0.1', port })
  const isOpen = await once(socket, 'connect').then(
    () => true,
    () => false,
  )
  socket.destroy()
  return isOpen
}
