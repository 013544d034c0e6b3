import { connect } from 'node:net'
import { join } from 'node:path'
import type { Child } from '../test/helpers/child-process.ts'
import { freePorts } from '../test/helpers/free-ports.ts'
import type { Context } from './context.ts'
import { ROOT, startServer } from './programs.ts'

/** A server under load. */
export interface Contestant {
  readonly name: string
  readonly port: number
  readonly child: Child
  /** What it must answer, to the byte; absent: that the Pod is allowed, without a patch. */
  readonly answer?: string
}

/** `bare-server.ts` or `fastify-server.ts`, which answer with the patch of the folder's file. */
export async function startFixed(context: Context, name: string, program: string): Promise<Contestant> {
  const [port = 0] = await freePorts(1)
  const args = [join(ROOT, 'bench', program), context.folder, String(port)]
  const child = startServer(args, join(context.folder, `${program}.log`))
  await child.until(() => accepts(port))
  return { name, port, child }
}

export interface Webhook extends Contestant {
  readonly opsPort: number
}

/** The bundled webhook as it is shipped: JSON logs, one line per changed Pod. */
export async function startWebhook(
  context: Context,
  name: string,
  rules: readonly string[],
): Promise<Webhook> {
  const webhook = await spawnWebhook(context, name, rules)
  await webhook.child.until(() => isReady(webhook.opsPort))
  return webhook
}

/** As {@link startWebhook}, but not ready yet. `args` say where the rules are. */
export async function spawnWebhook(
  context: Context,
  name: string,
  args: readonly string[],
): Promise<Webhook> {
  const [port = 0, opsPort = 0] = await freePorts(2)
  const ports = ['--port', String(port), '--ops-port', String(opsPort), '--host', '127.0.0.1']
  const child = startServer(
    [context.bundle, 'webhook', '--cert-dir', context.folder, ...ports, ...args],
    join(context.folder, `${name}.log`),
  )
  return { name, port, opsPort, child }
}

export async function isReady(opsPort: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${opsPort}/readyz`)
  await response.arrayBuffer()
  return response.status === 200
}

function accepts(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}
