/** `~/.vnode/config` as commands read it: whatever is wrong with it is said with file, line and key. */
import { type LoadedVnodeConfig, loadVnodeConfig, vnodeConfigFile } from '../../config/vnode-config-file.ts'
import { VnodeError } from '../../core/errors.ts'
import { hasErrors, type Problem } from '../../core/selector/problem.ts'
import type { Io } from '../io.ts'
import { painter } from '../paint.ts'
import { counted, renderFileProblem } from '../problem-text.ts'

export function configFileOf(config: string | undefined, io: Io): string {
  return vnodeConfigFile({ config, env: io.env, cwd: io.cwd })
}

/** Undefined where there is none. What the reader should know of the file is said on stderr. */
export async function loadConfig(file: string, io: Io): Promise<LoadedVnodeConfig | undefined> {
  const loaded = await loadVnodeConfig(file)
  for (const warning of loaded?.warnings ?? []) io.stderr(`vnode: warning: ${warning}\n`)
  return loaded
}

/** For what cannot go on without the file. */
export async function requireConfig(file: string, io: Io): Promise<LoadedVnodeConfig> {
  const loaded = await loadConfig(file, io)
  if (loaded !== undefined) return loaded
  throw new VnodeError('BAD_FILE', `there is no ${file}`, {
    next: 'Make it with: vnode config set default --region-id … --vswitch-id … --security-group-id … --kubeconfig … --access-key-file …',
  })
}

/** Says all problems on stderr; throws where one of them is an error. */
export function checkProblems(file: string, problems: readonly Problem[], io: Io): void {
  sayProblems(file, problems, io)
  if (!hasErrors(problems)) return
  const errors = problems.filter(({ severity }) => severity === 'error').length
  throw new VnodeError('BAD_FILE', `${counted(errors, 'problem')} in ${file}`)
}

export function sayProblems(file: string, problems: readonly Problem[], io: Io): void {
  const paint = painter(io.hasColor)
  for (const problem of problems) io.stderr(renderFileProblem({ file, problem }, paint))
}

/** Of the file and of all its contexts, in the order of the lines. */
export function allProblems({ config }: LoadedVnodeConfig): readonly Problem[] {
  const problems = [...config.problems, ...config.contexts.flatMap(context => context.problems)]
  return problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0))
}
