/** `~/.vnode/config` on disk: read, checked for who else may read it, and replaced in one step. */
import { constants } from 'node:fs'
import { mkdir, open, readFile, readlink, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { messageOf, VnodeError } from '../core/errors.ts'
import type { Environment } from './flags.ts'
import { parseVnodeConfig, type VnodeConfig } from './vnode-config.ts'

export interface LoadedVnodeConfig {
  readonly file: string
  readonly text: string
  readonly config: VnodeConfig
  /** What the reader should know of the file itself. */
  readonly warnings: readonly string[]
}

export interface ConfigPlace {
  /** `--config`, or VNODE_CONFIG. */
  readonly config: string | undefined
  readonly env: Environment
  readonly cwd: string
}

/** `--config`, else VNODE_CONFIG, else ~/.vnode/config. */
export function vnodeConfigFile({ config, env, cwd }: ConfigPlace): string {
  const given = config ?? env.VNODE_CONFIG
  if (given !== undefined && given !== '') return resolve(cwd, expandHome(given, env))
  const home = env.HOME ?? env.USERPROFILE ?? ''
  if (home === '')
    throw new VnodeError('BAD_SETTINGS', 'HOME is not set, so ~/.vnode/config cannot be found', {
      next: 'Name the file with --config FILE.',
    })
  return join(home, '.vnode', 'config')
}

/** `~/x` in the home folder. */
export function expandHome(path: string, env: Environment): string {
  const home = env.HOME ?? env.USERPROFILE ?? ''
  return path.startsWith('~/') && home !== '' ? join(home, path.slice(2)) : path
}

/** Undefined where there is no such file. */
export async function loadVnodeConfig(file: string): Promise<LoadedVnodeConfig | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw new VnodeError('BAD_FILE', `${file}: ${messageOf(error)}`)
  }
  const { mode } = await stat(file)
  const warnings = (mode & OTHERS_READ) === 0 ? [] : [`${file} can be read by others: chmod 600 ${file}`]
  return { file, text, config: parseVnodeConfig(text), warnings }
}

const OTHERS_READ = constants.S_IRGRP | constants.S_IROTH

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

/**
 * Replaces the file, or makes it, with its folder: readable by its owner alone, and at every moment either the old text or the new one
 * as a whole. A symbolic link stays one, also to a file that is not there yet.
 */
export async function saveVnodeConfig(file: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await replace(await targetOf(file), text)
  } catch (error) {
    throw new VnodeError('BAD_FILE', `${file} cannot be written: ${messageOf(error)}`)
  }
}

async function targetOf(file: string): Promise<string> {
  try {
    return await realpath(file)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
  const link = await readlink(file).catch(() => undefined)
  return link === undefined ? file : targetOf(resolve(await realpath(dirname(file)), link))
}

async function replace(target: string, text: string): Promise<void> {
  const temporary = join(dirname(target), `.${basename(target)}.${process.pid}.tmp`)
  try {
    // One that a killed attempt left behind may belong to anybody by now.
    await rm(temporary, { force: true })
    const handle = await open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, target)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
