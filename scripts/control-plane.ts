/**
 * usage: npm run control-plane [-- VERSION [PROGRAM...]]
 *
 * Builds what tests need of Kubernetes (etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl)
 * from its Go modules, where it is not built yet, and prints the folder that has it. With PROGRAMs it builds just these;
 * one of them may be helm, which is not built otherwise.
 * VERSION is $KUBE_VERSION or the default of tests; the folder is $KUBE_CACHE/vVERSION, by default below
 * ~/.cache/kube-bin. It needs Go, and the first time ten minutes on two cores.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  cacheFolder,
  extraPrograms,
  kubeVersion,
  type Program,
  programsFolder,
  programsOf,
} from './kube-programs.ts'

/** The Go command's own output of `go mod edit -json`, as far as it is read here. */
interface GoModule {
  readonly Go?: string
  readonly Godebug?: readonly { readonly Key: string; readonly Value: string }[] | null
  readonly Replace?:
    | readonly { readonly Old: { readonly Path: string }; readonly New: { readonly Path: string } }[]
    | null
}

const run = promisify(execFile)
const say = (line: string): boolean => process.stderr.write(`${line}\n`)

/** Runs Go and gives back what it prints; an error carries the end of what Go said about it. */
async function go(args: readonly string[], folder: string): Promise<string> {
  const env = {
    ...process.env,
    CGO_ENABLED: '0',
    GOFLAGS: `${process.env.GOFLAGS ?? ''} -mod=mod`,
    GOWORK: 'off',
  }
  try {
    const { stdout } = await run('go', args, { cwd: folder, env, maxBuffer: 64 * 2 ** 20 })
    return stdout
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new Error('Go is not on the PATH; install Go 1.26 or newer', { cause: error })
    }
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error)
    throw new Error(`go ${args.slice(0, 2).join(' ')}: ${said.split('\n').slice(-20).join('\n')}`, {
      cause: error,
    })
  }
}

/** Programs that are not there, or are there in another version than Go recorded in them when it built them. */
async function missingOf(programs: readonly Program[], folder: string): Promise<Program[]> {
  const missing = await Promise.all(
    programs.map(async program => {
      const file = join(folder, program.name)
      if (!existsSync(file)) return program
      const recorded = await go(['version', '-m', file], folder)
      const lines = recorded.split('\n').map(line => line.trim().split('\t'))
      const isWanted = lines.some(
        ([kind, module, version]) =>
          (kind === 'dep' || kind === 'mod') && module === program.module && version === program.version,
      )
      return isWanted ? undefined : program
    }),
  )
  return missing.filter(program => program !== undefined)
}

/**
 * `go install PACKAGE@VERSION` refuses a module that replaces others. So we make an empty module that depends on it,
 * and repeat there what only counts in the main module: its language version, its GODEBUG settings, and its
 * replacements by folders in `staging`, each of which is published as a module of its own with major version 0.
 */
async function makeModule({ module, version }: Program, folder: string): Promise<void> {
  await mkdir(folder)
  await writeFile(join(folder, 'go.mod'), 'module control-plane\n')
  const { GoMod } = JSON.parse(await go(['list', '-m', '-json', `${module}@${version}`], folder)) as {
    GoMod: string
  }
  await writeFile(join(folder, 'original.mod'), await readFile(GoMod))
  const original = JSON.parse(await go(['mod', 'edit', '-json', 'original.mod'], folder)) as GoModule
  const staged = (original.Replace ?? []).filter(({ New }) => New.Path.startsWith('./staging/'))
  const lines = [
    'module control-plane',
    ...(original.Go === undefined ? [] : [`go ${original.Go}`]),
    ...(original.Godebug ?? []).map(({ Key, Value }) => `godebug ${Key}=${Value}`),
    `require ${module} ${version}`,
    ...staged.map(({ Old }) => `replace ${Old.Path} => ${Old.Path} ${version.replace(/^v1\./, 'v0.')}`),
  ]
  await writeFile(join(folder, 'go.mod'), `${lines.join('\n')}\n`)
}

async function build(program: Program, module: string, target: string): Promise<void> {
  const started = performance.now()
  say(`building ${program.name} ${program.version}`)
  const stamps = Object.entries(program.variables).map(([name, value]) => `-X ${name}=${value}`)
  // A rename puts the program in place whole: an interrupted build must not look like a finished one.
  const unfinished = join(target, `.${program.name}.${process.pid}`)
  try {
    const flags = ['-trimpath', '-ldflags', ['-s', '-w', ...stamps].join(' ')]
    await go(['build', ...flags, '-o', unfinished, program.main], module)
    await rename(unfinished, join(target, program.name))
  } finally {
    await rm(unfinished, { force: true })
  }
  say(`built ${program.name} in ${Math.round((performance.now() - started) / 1000)} s`)
}

async function buildAll(programs: readonly Program[], target: string): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'control-plane-build-'))
  try {
    const modules = new Map<string, string>()
    for (const program of programs) {
      const folder = modules.get(program.module) ?? join(work, String(modules.size))
      if (!modules.has(program.module)) await makeModule(program, folder)
      modules.set(program.module, folder)
      await build(program, folder, target)
    }
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** Holds the lock of whoever builds into the cache, until the process that is returned has lost its input. */
async function lockCache(): Promise<ChildProcess> {
  const file = join(cacheFolder(), 'binaries.lock')
  const holder = spawn('flock', [file, 'sh', '-c', 'echo locked && exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const waiting = setTimeout(() => say(`another build holds ${file}: waiting for it`), 1000)
  try {
    await new Promise((resolve, reject) => {
      holder.stdout.once('data', resolve)
      holder.once('error', cause => reject(new Error('cannot run flock (of util-linux)', { cause })))
      holder.once('exit', code => reject(new Error(`flock ${file} ended with ${code}`)))
    })
  } finally {
    clearTimeout(waiting)
  }
  return holder
}

async function main([wanted, ...names]: readonly string[]): Promise<void> {
  const version = kubeVersion(wanted)
  const target = programsFolder(version)
  const usual = programsOf(version)
  const all = [...usual, ...extraPrograms()]
  const unknown = names.find(name => !all.some(program => program.name === name))
  if (unknown !== undefined)
    throw new Error(`no such program: ${unknown} (${all.map(({ name }) => name).join(', ')})`)
  const programs = names.length === 0 ? usual : all.filter(({ name }) => names.includes(name))
  await mkdir(target, { recursive: true })
  if ((await missingOf(programs, target)).length > 0) {
    const lock = await lockCache()
    try {
      // Asked again, as whoever had the lock before may have built them.
      await buildAll(await missingOf(programs, target), target)
    } finally {
      lock.stdin?.end()
    }
  }
  process.stdout.write(`${target}\n`)
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  say(`control-plane: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
