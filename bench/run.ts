/**
 * usage: npm run bench [-- --only PART,... --rounds N]
 *
 * Measures what the design promises (section "Numbers"), prints tables, and writes bench/results.md when all parts have run.
 * Parts: throughput, rules, memory, startup (the same part), apiserver, helper.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measureApiserver } from './apiserver.ts'
import { type Context, prepare } from './context.ts'
import { measureHelper } from './helper.ts'
import { describeMachine } from './machine.ts'
import { measureMemory } from './memory.ts'
import { renderSection, type Section } from './report.ts'
import { measureRules } from './rules.ts'
import { measureThroughput } from './throughput.ts'

type Part = (context: Context) => Promise<Section[]>

const PARTS: ReadonlyMap<string, Part> = new Map([
  ['throughput', measureThroughput],
  ['rules', measureRules],
  ['memory', measureMemory],
  ['apiserver', measureApiserver],
  ['helper', measureHelper],
])
const DEFAULT_ROUNDS = 15
const RESULTS = join(import.meta.dirname, 'results.md')

async function main(): Promise<void> {
  const { only, rounds } = readArguments()
  const say = (line: string) => void process.stderr.write(`${line}\n`)
  const context = await prepare(rounds, say)
  const parts = [...PARTS].filter(([name]) => only === undefined || only.includes(name))
  const texts: string[] = []
  for (const [name, measure] of parts) {
    say(`${name}:`)
    const text = (await measure(context)).map(renderSection).join('\n')
    process.stdout.write(`\n${text}\n`)
    texts.push(text)
  }
  if (only !== undefined) return
  await writeFile(
    RESULTS,
    `# Benchmark\n\n${describeMachine()}. Made by \`npm run bench\`.\n\n${texts.join('\n')}`,
  )
}

function readArguments(): { only: readonly string[] | undefined; rounds: number } {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, rounds: { type: 'string', default: String(DEFAULT_ROUNDS) } },
  })
  const rounds = Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds must be a whole number from 1')
  const only = values.only?.split(',')
  const unknown = only?.filter(name => !PARTS.has(name)) ?? []
  if (unknown.length > 0)
    throw new Error(`no such part: ${unknown.join(', ')}; parts: ${[...PARTS.keys()].join(', ')}`)
  return { only, rounds }
}

await main()
