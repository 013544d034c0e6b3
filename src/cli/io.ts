/** What a command may touch of the process it runs in. Tests hand in another one and read what was written. */

export interface Io {
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  readonly readStdin: () => Promise<string>
  readonly env: Readonly<Record<string, string | undefined>>
  /** Does a person read stdout as it is written? */
  readonly isTerminal: boolean
  readonly hasColor: boolean
  /** Width of the terminal in characters. */
  readonly columns: number
  /** Paths on the command line are relative to this folder. */
  readonly cwd: string
  /**
   * For commands that run until they are told to stop: aborted by the first SIGINT or SIGTERM, the second ends the process. Until a
   * command asks for it, a signal ends the process at once.
   */
  readonly stopSignal: () => AbortSignal
}

/** Thrown by a command that has said all there is to say, to end with this status. */
export class ExitStatus extends Error {
  readonly status: number

  constructor(status: number) {
    super(`exit status ${status}`)
    this.name = 'ExitStatus'
    this.status = status
  }
}
