/** JSON logs: one line an entry, level as a word, time as RFC 3339. */
import { messageOf } from '../core/errors.ts'
import { memoize, memoizeByObject } from '../core/memo.ts'
import { LineWriter } from './line-writer.ts'
import { LOG_LEVELS, type Logger, type LogLevel } from './logger.ts'

export interface JsonLog {
  readonly log: Logger
  /** Writes out what is waiting; nothing may be logged afterwards. */
  close(): Promise<void>
}

/** Takes whole lines, each with its line break. */
export interface LineSink {
  write(line: string): void
}

/** Writes to the file descriptor: 1 is stdout. */
export function createJsonLog(level: LogLevel, fd: number): JsonLog {
  const writer = new LineWriter(fd)
  return { log: createLogger(level, writer), close: () => writer.close() }
}

/** A logging library would take several times as long for a line, and there is a line for each changed Pod. */
export function createLogger(least: LogLevel, sink: LineSink): Logger {
  const at = (level: LogLevel): Logger['info'] =>
    LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(least)
      ? () => {}
      : (fields, message, shared) => sink.write(`${render({ level, fields, shared, message })}\n`)
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

interface Entry {
  readonly level: LogLevel
  readonly fields: object
  readonly shared: object | undefined
  readonly message: string
}

function render({ level, fields, shared, message }: Entry): string {
  const head = `{"level":"${level}","time":"${timeOf(Date.now())}"`
  const end = `,"msg":${quoted(message)}}`
  try {
    return `${head}${members(fields)}${shared === undefined ? '' : sharedMembers(shared)}${end}`
  } catch (error) {
    // A circle or a BigInt: the message is worth more than what came with it.
    return `${head}${members({ unwritable: messageOf(error) })}${end}`
  }
}

/** What an object has in its JSON, each with a comma before it. Put together by hand: most of it is text that was there before. */
function members(fields: object): string {
  let text = ''
  for (const [key, value] of Object.entries(fields)) {
    const json: string | undefined = typeof value === 'string' ? quoted(value) : JSON.stringify(value)
    // What is undefined, or a function, does not show in JSON.
    if (json !== undefined) text += `,${quoted(key)}:${json}`
  }
  return text
}

const sharedMembers = memoizeByObject(members)
const quoted = memoize((text: string): string => JSON.stringify(text))

let second = Number.NaN
let secondText = ''

/** As RFC 3339, to the millisecond. A line often is of the same second as the one before, and a Date is a third of the work of a line. */
function timeOf(now: number): string {
  const begin = now - (now % 1000)
  if (begin !== second) {
    second = begin
    secondText = new Date(begin).toISOString().slice(0, -'000Z'.length)
  }
  return `${secondText}${String(now - begin).padStart(3, '0')}Z`
}
