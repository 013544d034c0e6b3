/** JSON logs: one line an entry, level as a word, time as RFC 3339. */
import { messageOf } from '../core/errors.ts'
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
      : (fields, message) => sink.write(`${render(level, fields, message)}\n`)
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

function render(level: LogLevel, fields: object, msg: string): string {
  const time = timeOf(Date.now())
  try {
    return JSON.stringify({ level, time, ...fields, msg })
  } catch (error) {
    // A circle or a BigInt: the message is worth more than what came with it.
    return JSON.stringify({ level, time, unwritable: messageOf(error), msg })
  }
}

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
