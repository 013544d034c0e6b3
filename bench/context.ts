import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { makePki, writePki } from '../test/helpers/certificates.ts'
import { removeOnExit } from '../test/helpers/child-process.ts'
import { ROOT } from './programs.ts'
import { readReview } from './review.ts'

/** What all parts share. */
export interface Context {
  /** For certificates, rules and complaints; gone with the process. */
  readonly folder: string
  /** The built `vnode`. */
  readonly bundle: string
  readonly ca: string
  readonly review: string
  readonly rounds: number
  readonly say: (line: string) => void
}

export async function prepare(rounds: number, say: Context['say']): Promise<Context> {
  const folder = await mkdtemp(join(tmpdir(), 'vnode-bench-'))
  removeOnExit(folder)
  const pki = makePki()
  await mkdir(folder, { recursive: true })
  await writePki(folder, pki)
  // A build of its own: whoever uses dist/ meanwhile is not disturbed.
  const dist = join(folder, 'dist')
  await promisify(execFile)(process.execPath, ['scripts/build.ts', dist], { cwd: ROOT })
  return {
    folder,
    bundle: join(dist, 'vnode.js'),
    ca: pki.authority.certPem,
    review: readReview(),
    rounds,
    say,
  }
}

/** Writes a file to the folder and gives its path. */
export async function fileIn({ folder }: Context, name: string, text: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, text)
  return path
}
