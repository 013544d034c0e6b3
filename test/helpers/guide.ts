import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')

/** The commands of a guide, by the heading above them, in their order. */
export function readGuide(path: string): ReadonlyMap<string, string> {
  const steps = new Map<string, string>()
  let heading = ''
  for (const [, title, block] of readFileSync(join(ROOT, path), 'utf8').matchAll(
    /^#+ (.+)$|^```sh\n([\s\S]*?)^```$/gm,
  )) {
    if (title !== undefined) heading = title
    else if (steps.has(heading)) throw new Error(`two blocks of commands below "${heading}"`)
    else steps.set(heading, block ?? '')
  }
  return steps
}

export interface StepOptions {
  /** Where its files are written. */
  readonly folder: string
  /** Words of the guide, and what they are here. */
  readonly here: ReadonlyMap<string, string>
}

/** Runs the commands of a step as somebody would who types them, `vnode` being that of this folder. Throws all that they said if one fails. */
export function runStep(commands: string, { folder, here }: StepOptions): Promise<string> {
  const [vnode, charts] = [join(ROOT, 'src/vnode.js'), join(ROOT, 'charts')]
  const typed = [...here].reduce((text, [word, ours]) => text.replaceAll(word, ours), commands)
  const script = `set -euo pipefail
vnode() { ${process.execPath} ${vnode} "$@"; }
ln -sfn ${charts} charts
${typed}`
  return new Promise((done, fail) => {
    const child = spawn('bash', ['-c', script], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    const hear = (chunk: Buffer) => {
      said += String(chunk)
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    child.on('error', fail)
    child.on('close', code => {
      if (code === 0) done(said)
      else fail(new Error(`ended with ${code}: ${typed}\n${said}`))
    })
  })
}
