/** `vnode config set-context` and `set`: changes of the file that keep its comments. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type ContextKey, parseVnodeConfig, valueProblem } from '../../config/vnode-config.ts'
import { withContextValues, withCurrentContext } from '../../config/vnode-config-edit.ts'
import { saveVnodeConfig } from '../../config/vnode-config-file.ts'
import { messageOf, VnodeError } from '../../core/errors.ts'
import type { Io } from '../io.ts'
import { checkProblems, loadConfig, requireConfig } from './load.ts'
import { maskedText } from './mask.ts'

export interface ChangeOptions {
  readonly file: string
  readonly isDryRun: boolean
}

/** Makes a context the current one, as VNodectl does. */
export async function runSetContext(name: string, options: ChangeOptions, io: Io): Promise<void> {
  const { file } = options
  const { config, text } = await requireConfig(file, io)
  checkProblems(
    file,
    // That the current one is missing is what this may be about to mend.
    config.problems.filter(({ path }) => path !== 'current-context'),
    io,
  )
  const context = config.contexts.find(one => one.name === name)
  if (context === undefined) {
    const known = config.contexts.map(one => one.name).join(', ') || 'none'
    throw new VnodeError('USAGE', `${file} has no context "${name}"; there are: ${known}`, {
      next: `Make it with: vnode config set ${name} --region-id …`,
    })
  }
  if (config.currentContext === name) {
    io.stdout(`Context "${name}" is the current one already.\n`)
    return
  }
  await write(withCurrentContext(text, name), options, io)
  if (!options.isDryRun) io.stdout(`Switched to context "${name}".\n`)
}

export interface SetOptions extends ChangeOptions {
  readonly name: string
  /** By their keys in the file. */
  readonly values: ReadonlyMap<ContextKey, string>
  /** A file with an AccessKey, or `-` for stdin. */
  readonly accessKeyFile: string | undefined
  /** Make it the current context too; one that is the first becomes it in any case. */
  readonly isCurrent: boolean
}

export async function runSet(options: SetOptions, io: Io): Promise<void> {
  const { file, name } = options
  const values = new Map<ContextKey, string | undefined>([
    ...options.values,
    ...(await accessKey(options.accessKeyFile, io)),
  ])
  const wrong = [...values].flatMap(([key, value]) => {
    const problem = value === undefined ? undefined : valueProblem(key, value)
    return problem === undefined ? [] : [`${key} ${problem}`]
  })
  if (wrong.length > 0) throw new VnodeError('USAGE', wrong.join('; '))
  const loaded = await loadConfig(file, io)
  if (loaded !== undefined)
    checkProblems(
      file,
      loaded.config.problems.filter(({ path }) => path !== 'current-context'),
      io,
    )
  const isNew = loaded?.config.contexts.every(context => context.name !== name) ?? true
  const changed = withContextValues(loaded?.text ?? '', name, values)
  const isCurrent = options.isCurrent || loaded?.config.currentContext === undefined
  await write(isCurrent ? withCurrentContext(changed, name) : changed, options, io)
  if (!options.isDryRun) io.stdout(`Context "${name}" ${isNew ? 'made' : 'changed'} in ${file}.\n`)
}

/** A change that would not read back as meant is not written. */
async function write(text: string, { file, isDryRun }: ChangeOptions, io: Io): Promise<void> {
  const { problems } = parseVnodeConfig(text)
  checkProblems(file, problems, io)
  if (isDryRun) io.stdout(`# ${file} would be:\n${maskedText(text)}`)
  else await saveVnodeConfig(file, text)
}

const ID = /^(?:LTAI|STS\.|TMP\.)[\w.-]+$/

/**
 * An AccessKey as the console hands it out (a CSV file with a head), or as lines `id`, `secret` and, for temporary ones, `token`. From a
 * file or from stdin: on the command line every process of the machine could read it.
 */
async function accessKey(file: string | undefined, io: Io): Promise<[ContextKey, string | undefined][]> {
  if (file === undefined) return []
  const text = file === '-' ? await io.readStdin() : await read(resolve(io.cwd, file))
  const words = text.split(/[\s,;"]+/).filter(word => word !== '')
  const at = words.findIndex(word => ID.test(word))
  const [id, secret, token] = words.slice(at, at + 3)
  if (at < 0 || id === undefined || secret === undefined) {
    throw new VnodeError('BAD_FILE', `${file === '-' ? 'stdin' : file} holds no AccessKey`, {
      next: 'It has an id (LTAI… or STS.…) and its secret, separated by a comma or on two lines; a third is the security token.',
    })
  }
  const isTemporary = !id.startsWith('LTAI')
  return [
    ['access-key-id', id],
    ['access-key-secret', secret],
    // A token is of the pair that it came with: one of an earlier pair would make this one be refused.
    ['security-token', isTemporary ? token : undefined],
  ]
}

async function read(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(error => {
    throw new VnodeError('BAD_FILE', messageOf(error))
  })
}
