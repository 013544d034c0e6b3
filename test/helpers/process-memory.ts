import { readFileSync } from 'node:fs'

/** In MiB; NaN where the system does not tell (not Linux). */
export interface Memory {
  /** All that is resident. */
  readonly resident: number
  /** What of it is the process's own: the rest is mostly Node's executable, which all processes of a machine share. */
  readonly own: number
  /** The most that was resident so far. */
  readonly peak: number
}

export function memoryOf(pid: number | undefined): Memory {
  const text = statusOf(pid)
  const megabytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1]) / 1024
  return { resident: megabytes('VmRSS'), own: megabytes('RssAnon'), peak: megabytes('VmHWM') }
}

function statusOf(pid: number | undefined): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    return ''
  }
}
