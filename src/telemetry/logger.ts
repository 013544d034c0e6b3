/** What our programs need of a logger. */
export interface Logger {
  debug(fields: object, message: string): void
  /** `shared`: fields that many lines have in common, in an object that never changes; they are rendered once. */
  info(fields: object, message: string, shared?: object): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
