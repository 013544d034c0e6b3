/** A client that speaks HTTP by hand, so that it knows of every byte it has sent and what became of it. */
import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'

export interface LoadTarget {
  readonly port: number
  readonly caPem: string
}

export interface LoadOptions extends LoadTarget {
  /** The requests' body; the same each time. */
  readonly body: string
  readonly path: string
  /** Between an answer and the next request, in milliseconds; by default none. */
  readonly pause?: () => number
  /** Connect again after an answer that ended its connection, until nobody listens. */
  readonly reconnects?: boolean
}

export interface LoadResult {
  /** Answers with status 200. */
  readonly answered: number
  /** Those of them that said `connection: close`. */
  readonly closing: number
  readonly connections: number
  /** Requests that were sent over a connection that had been accepted, and not answered with 200. */
  readonly lost: readonly string[]
}

/** Sends one request after the other until it is told to stop, or nobody listens. */
export class LoadClient {
  answered = 0
  closing = 0
  connections = 0
  readonly lost: string[] = []
  readonly done: Promise<void>
  readonly #options: LoadOptions
  readonly #request: string
  #isStopped = false

  constructor(options: LoadOptions) {
    this.#options = options
    const { path, body } = options
    this.#request = `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
    this.done = this.#run()
  }

  async stop(): Promise<LoadClient> {
    this.#isStopped = true
    await this.done
    return this
  }

  async #run(): Promise<void> {
    do {
      const socket = await this.#connect()
      if (socket === undefined) return
      await this.#use(socket)
      socket.destroy()
    } while (!this.#isStopped && this.#options.reconnects !== false)
  }

  /** Undefined once nobody listens, or nobody accepts any more. */
  async #connect(): Promise<TLSSocket | undefined> {
    const { port, caPem } = this.#options
    const socket = connect({ host: '127.0.0.1', port, ca: caPem, servername: 'localhost' })
    socket.on('error', () => undefined)
    const isConnected = await Promise.race([
      once(socket, 'secureConnect').then(() => true),
      once(socket, 'close').then(() => false),
    ]).catch(() => false)
    if (!isConnected) return undefined
    this.connections += 1
    return socket
  }

  async #use(socket: TLSSocket): Promise<void> {
    const answers = new Answers(socket)
    while (!this.#isStopped) {
      if (socket.readableEnded || socket.destroyed) return
      socket.write(this.#request)
      const answer = await answers.next()
      if (answer.status !== 200) {
        this.lost.push(`${answer.status ?? 'closed without an answer'} ${answer.text.slice(0, 200)}`)
        return
      }
      this.answered += 1
      if (answer.isLast) {
        this.closing += 1
        return
      }
      const pause = this.#options.pause?.() ?? 0
      if (pause > 0) await new Promise(resolve => setTimeout(resolve, pause))
    }
  }
}

export interface HttpAnswer {
  /** Undefined if the connection ended before there was a whole answer. */
  readonly status: number | undefined
  readonly text: string
  readonly isLast: boolean
}

/** The answers that arrive on a socket, one after the other. */
export class Answers {
  #text = ''
  #isEnded = false
  #wake = () => {}

  constructor(socket: TLSSocket) {
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      this.#text += text
      this.#wake()
    })
    const end = () => {
      this.#isEnded = true
      this.#wake()
    }
    socket.on('end', end)
    socket.on('close', end)
  }

  async next(): Promise<HttpAnswer> {
    for (;;) {
      const answer = this.#take()
      if (answer !== undefined) return answer
      if (this.#isEnded) return { status: undefined, text: this.#text, isLast: true }
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  #take(): HttpAnswer | undefined {
    const end = this.#text.indexOf('\r\n\r\n')
    if (end < 0) return undefined
    const head = this.#text.slice(0, end)
    const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0)
    const whole = end + 4 + length
    // Bodies here are ASCII, or their length would be another.
    if (this.#text.length < whole) return undefined
    const text = this.#text.slice(end + 4, whole)
    this.#text = this.#text.slice(whole)
    return {
      status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]),
      text,
      isLast: /^connection: close$/im.test(head),
    }
  }
}
