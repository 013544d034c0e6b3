import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildBundle } from '../test/helpers/bundle.ts'
import { makePki, writePki } from '../test/helpers/certificates.ts'
import { removeOnExit } from '../test/helpers/child-process.ts'
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
  return {
    folder,
    bundle: await buildBundle(folder),
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
