import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

const ROOT = join(import.meta.dirname, '../..')

/** Bundles `vnode` as it is shipped into the folder, and gives its path. Whoever uses dist/ meanwhile is not disturbed. */
export async function buildBundle(folder: string): Promise<string> {
  const dist = join(folder, 'dist')
  await promisify(execFile)(process.execPath, ['scripts/build.ts', dist], { cwd: ROOT })
  return join(dist, 'vnode.js')
}
