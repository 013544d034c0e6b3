import { availableParallelism, cpus, release, totalmem, type } from 'node:os'

/** What numbers mean nothing without. Nothing in it says whose machine it was. */
export function describeMachine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor'
  const memory = Math.round(totalmem() / 2 ** 30)
  const system = `${type()} ${release().split('-')[0]}`
  const date = new Date().toISOString().slice(0, 10)
  return `${model}, ${availableParallelism()} cores, ${memory} GiB, ${system}, Node ${process.version.slice(1)}, ${date}`
}
