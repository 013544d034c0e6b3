import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Test } from 'tap'
import { type ProgramName, programsFolder } from '../../scripts/kube-programs.ts'

export class MissingProgramsError extends Error {}

/** The folder that has the programs, or an error that says which are missing where, and how to get them. */
export function findPrograms(names: readonly ProgramName[], version: string): string {
  const assets = process.env.KUBEBUILDER_ASSETS ?? ''
  const folder = assets === '' ? programsFolder(version) : resolve(assets)
  const missing = names.filter(name => !existsSync(join(folder, name)))
  if (missing.length === 0) return folder
  const first = assets === '' ? '' : 'unset KUBEBUILDER_ASSETS, and '
  const next = `${first}npm run control-plane -- ${version}`
  throw new MissingProgramsError(`${folder} lacks ${missing.join(', ')}; to build them: ${next}`)
}

/** Skips the test file where programs are missing, and says so; in CI, and of any other error, it throws it. */
export function skipWithout(t: Test, error: unknown): undefined {
  const isCi = !['', '0', 'false'].includes(process.env.CI ?? '')
  if (!(error instanceof MissingProgramsError) || isCi) throw error
  t.plan(0, error.message)
  return undefined
}

export interface KubectlResult {
  readonly stdout: string
  readonly stderr: string
  readonly code: number
}

export interface KubectlSettings {
  readonly kubeconfig: string
  /** Where kubectl keeps its cache. */
  readonly home: string
  readonly input: string
}

/** Runs the real kubectl for a minute at most. Any exit code is a result. */
export function runKubectl(
  program: string,
  args: readonly string[],
  settings: KubectlSettings,
): Promise<KubectlResult> {
  const env = { PATH: process.env.PATH, HOME: settings.home, KUBECONFIG: settings.kubeconfig }
  const options = { env, timeout: 60_000, maxBuffer: 64 * 2 ** 20 }
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) resolve({ stdout, stderr, code: 0 })
      else if (typeof error.code === 'number') resolve({ stdout, stderr, code: error.code })
      else reject(error)
    })
    // A command that reads no input may have ended before it is given any.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(settings.input)
  })
}
