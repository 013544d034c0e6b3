/** The README's tour without an account, typed as it stands there. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { kubeVersion } from '../../scripts/kube-programs.ts'
import { removeOnExit, withParent } from '../helpers/child-process.ts'
import { findPrograms, skipWithout } from '../helpers/kube-programs.ts'
import { patience } from '../helpers/patience.ts'

const ROOT = join(import.meta.dirname, '../..')
const FOLDER = '/home/me/vnode-profile/fake-eci'

/** Commands of the README, each with what it shows there. */
function tour(): [command: string, output: string][] {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const from = readme.indexOf('`npm run -s fake-eci` plays Alibaba Cloud')
  const [, block = ''] = /```console\n([\s\S]*?)```/.exec(readme.slice(from)) ?? []
  return block
    .split(/^\$ /m)
    .slice(1)
    .map(step => {
      const end = step.indexOf('\n')
      return [step.slice(0, end), step.slice(end + 1)]
    })
}

/** What is another one each time. */
function plain(output: string): string {
  return output
    .replaceAll(/[0-9A-F]{8}-(?:[0-9A-F]{4}-){3}[0-9A-F]{12}/g, 'REQUEST-ID')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, 'TIME')
    .replaceAll(/ \d+m?\d*s +(?=v)/g, ' AGE ')
    .replaceAll(/vnd-[a-z0-9]{20}/g, 'VNODE-ID')
}

/** In order, standard error too, as a terminal has it. */
function type(command: string, env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise(done => {
    const options = { cwd: ROOT, env, timeout: patience(60_000) }
    execFile('sh', ['-c', `exec 2>&1\n${command}`], options, (_error, stdout) => done(stdout))
  })
}

/** The folder of what it runs. */
function programsOrSkip(): string | undefined {
  try {
    const names = ['etcd', 'kube-apiserver', 'kube-scheduler', 'kube-controller-manager', 'kubectl'] as const
    return findPrograms(names, kubeVersion())
  } catch (error) {
    return skipWithout(t, error)
  }
}

/** Starts it, and gives the lines that it says to type first. */
async function startFake(folder: string): Promise<string> {
  const args = ['scripts/fake-eci.ts', '--port', '0', '--dir', folder]
  const fake = spawn(...withParent(process.execPath, args), {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(async () => {
    fake.kill()
    await once(fake, 'exit')
  })
  let said = ''
  fake.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk
    if (said.includes('Ctrl-C stops')) fake.emit('ready')
  })
  await Promise.race([once(fake, 'ready'), once(fake, 'exit')])
  return said.match(/^export .*$/gm)?.join('\n') ?? ''
}

const programs = programsOrSkip()
if (programs !== undefined) {
  t.test('each command shows what the README says', async t => {
    const folder = mkdtempSync(join(tmpdir(), 'readme-tour-'))
    removeOnExit(folder)
    const exports = await startFake(folder)
    t.equal(exports.split('\n').length, 2, 'two lines of export')
    const env = { ...process.env, PATH: `${programs}:${process.env.PATH}` }
    const steps = tour()
    t.ok(steps.length > 4)
    let id = ''
    for (const [command, output] of steps) {
      const typed = command.replace(/vnd-[a-z0-9]{20}/, id)
      const shown = await type(`${exports}\n${typed}`, env)
      t.equal(plain(shown).replace(folder, FOLDER), plain(output), command)
      id = /vnd-[a-z0-9]{20}/.exec(shown)?.[0] ?? id
    }
  })
}
