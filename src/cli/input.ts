/** What paths on the command line stand for: files, folders of YAML and JSON, and `-` for standard input. */
import type { Dirent } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { decodeText } from '../core/decode-text.ts'
import { messageOf, VnodeError } from '../core/errors.ts'
import type { Io } from './io.ts'
import { plainText } from './plain-text.ts'

export interface InputFile {
  /** As a person would name it: relative paths stay relative. */
  readonly path: string
  /** What was named on the command line: the path itself, or the folder that the file is in. */
  readonly argument: string
  readonly text: string
}

export const STDIN = '-'
const STDIN_NAME = 'stdin'

/** Reads everything before anything is done with it. Throws BAD_FILE for whatever cannot be read. */
export async function readInputs(paths: readonly string[], io: Io): Promise<readonly InputFile[]> {
  if (paths.filter(path => path === STDIN).length > 1)
    throw new VnodeError('USAGE', 'standard input (-) can be read only once')
  const files: InputFile[] = []
  for (const path of paths) {
    if (path === STDIN) files.push({ path: STDIN_NAME, argument: STDIN_NAME, text: await io.readStdin() })
    else {
      for (const file of await filesOf(path, io))
        files.push({ path: file, argument: path, text: await readOne(file, io) })
    }
  }
  return files
}

async function filesOf(path: string, io: Io): Promise<readonly string[]> {
  const isFolder = await attempt(path, async () => (await stat(resolve(io.cwd, path))).isDirectory())
  if (!isFolder) return [path]
  const entries = await attempt(path, () => readdir(resolve(io.cwd, path), { withFileTypes: true }))
  const manifests = entries.map(entry => entry.name).filter(name => MANIFEST.test(name))
  if (manifests.length > 0) {
    tellSkipped(path, entries, io)
    return manifests.sort().map(name => join(path, name))
  }
  throw new VnodeError('BAD_FILE', `the folder ${path} holds no .yaml, .yml or .json file`, {
    next: 'Folders inside it are not searched: name the one that holds the files.',
  })
}

const MANIFEST = /\.(?:ya?ml|json)$/

/** What kubectl does not read either, but whoever named the folder may believe to be read. */
function tellSkipped(path: string, entries: readonly Dirent[], io: Io): void {
  const skipped = entries
    .filter(({ name }) => !MANIFEST.test(name))
    .flatMap(entry => {
      if (entry.isDirectory()) return [`${entry.name}/`]
      return MANIFEST.test(entry.name.toLowerCase()) ? [entry.name] : []
    })
    .sort()
  if (skipped.length === 0) return
  const more = skipped.length - SKIPPED_SHOWN
  const list = `${skipped.slice(0, SKIPPED_SHOWN).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
  const why = 'folders inside it are not searched, and names end in .yaml, .yml or .json'
  io.stderr(`vnode: not read of the folder ${plainText(`${path}: ${list}`)} (${why}).\n`)
}

const SKIPPED_SHOWN = 5

async function readOne(path: string, io: Io): Promise<string> {
  return decodeText(await attempt(path, () => readFile(resolve(io.cwd, path))), path)
}

async function attempt<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    throw new VnodeError('BAD_FILE', `cannot read ${path}: ${reasonOf(error)}`, {
      cause: error,
      next: 'Name a file, a folder, or - for standard input.',
    })
  }
}

const REASONS: ReadonlyMap<unknown, string> = new Map([
  ['ENOENT', 'there is no such file or folder'],
  ['ENOTDIR', 'there is no such file or folder'],
  ['EACCES', 'permission denied'],
  ['EPERM', 'permission denied'],
])

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return REASONS.get(code) ?? messageOf(error)
}
