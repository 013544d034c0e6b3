/** Rules from files: read at start, and again when they change. For trying things out, and for clusters' own tooling. */
import { type FSWatcher, watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { decodeText } from '../core/decode-text.ts'
import { messageOf, VnodeError } from '../core/errors.ts'
import { RULES_CONFIGMAP } from '../core/names.ts'
import { type RuleDocuments, readRuleDocuments } from '../core/selector/documents.ts'
import { absenceOfRules, chosenRulesText, hasRules, namespaceOfRules } from '../core/selector/found-rules.ts'
import { hasErrors } from '../core/selector/problem.ts'
import { selectorName } from '../core/selector/resource-rules.ts'
import { fileOrigin, type RulesState } from '../rules/rules-state.ts'
import type { RuleSource, SourceHealth } from '../rules/source.ts'
import type { Logger } from '../telemetry/logger.ts'

export interface FileSourceOptions {
  readonly files: readonly string[]
  readonly state: RulesState
  readonly log: Logger
  readonly rulesNamespace?: string
  readonly rulesName?: string
}

/** What is relied on; watching only makes it faster (it is blind on some network file systems). */
const POLL_MS = 2_000
/** From a change on disk to reading it: editors write in several steps. */
const SETTLE_MS = 30

interface LoadedFile {
  readonly text: string
  readonly documents: RuleDocuments
}

export class FileSource implements RuleSource {
  readonly #options: FileSourceOptions
  readonly #loaded = new Map<string, LoadedFile>()
  /** Why each file that cannot be read now cannot. */
  readonly #unreadable = new Map<string, string>()
  readonly #watchers: FSWatcher[] = []
  #reported: Reported = nothingReported()
  /** Of the ConfigMap, as it was reported. */
  #rulesText: string | undefined
  #poll: NodeJS.Timeout | undefined
  #settle: NodeJS.Timeout | undefined
  #reading: Promise<void> = Promise.resolve()

  constructor(options: FileSourceOptions) {
    this.#options = options
  }

  /** Rejects with BAD_FILE if a file cannot be read; one that can be read but is wrong is reported and the valid part used. */
  async start(): Promise<void> {
    for (const file of this.#options.files) await this.#load(file)
    this.#report(this.#options.files)
    this.#options.state.flush()
    for (const folder of new Set(this.#options.files.map(file => dirname(file)))) this.#watch(folder)
    this.#poll = setInterval(() => this.#look(), POLL_MS)
  }

  async stop(): Promise<void> {
    clearInterval(this.#poll)
    clearTimeout(this.#settle)
    for (const watcher of this.#watchers) watcher.close()
    await this.#reading
  }

  health(): SourceHealth[] {
    return [{ resource: 'files', isSynced: this.#loaded.size > 0, reason: 'rule files are loaded' }]
  }

  #watch(folder: string): void {
    try {
      const watcher = watch(folder, () => {
        clearTimeout(this.#settle)
        this.#settle = setTimeout(() => this.#look(), SETTLE_MS)
      })
      watcher.on('error', () => watcher.close())
      this.#watchers.push(watcher)
    } catch (error) {
      this.#options.log.debug(
        { folder, error: messageOf(error) },
        'cannot watch the folder; polling it instead',
      )
    }
  }

  async #load(file: string): Promise<boolean> {
    let bytes: Buffer
    try {
      bytes = await readFile(file)
    } catch (error) {
      throw new VnodeError('BAD_FILE', `cannot read the rules file ${file}: ${messageOf(error)}`, {
        cause: error,
        next: 'name a file with --rules, or leave the flag out to read rules from the cluster',
      })
    }
    const text = decodeText(bytes, file)
    const before = this.#loaded.get(file)?.text
    if (before === text) return false
    // A shell empties the file before the command that fills it has begun.
    if (before !== undefined && text.trim() === '')
      throw new VnodeError('BAD_FILE', `${file} is empty`, { next: 'write [] to have no rules' })
    this.#loaded.set(file, { text, documents: readRuleDocuments(text, this.#rulesName) })
    return true
  }

  /** One after the other: of two readings at once the older could end last. */
  #look(): void {
    this.#reading = this.#reading.then(() => this.#reload())
  }

  async #reload(): Promise<void> {
    const changed: string[] = []
    for (const file of this.#options.files) {
      try {
        if (await this.#load(file)) changed.push(file)
        this.#unreadable.delete(file)
      } catch (error) {
        const reason = messageOf(error)
        if (this.#unreadable.get(file) !== reason)
          this.#options.log.error({ file, error: reason }, 'rules file not read; what it held stays in force')
        this.#unreadable.set(file, reason)
      }
    }
    if (changed.length > 0) this.#report(changed)
  }

  /** Reports all files as one whole. A file that does not parse leaves everything as it is. */
  #report(changed: readonly string[]): void {
    const { state } = this.#options
    const files = [...this.#loaded]
    for (const [file, { documents }] of files) {
      if (!changed.includes(file)) continue
      const origin = fileOrigin('ConfigMap', file)
      if (!hasErrors(documents.problems)) state.mend(origin)
      else state.refuse(origin, documents.problems, this.#isStarted ? 'last-good' : 'valid-part')
    }
    this.#warnOfAbsence(changed)
    if (this.#isStarted && files.some(([, { documents }]) => hasErrors(documents.problems))) return
    this.#reportRules(files)
    this.#reportObjects(files, state)
  }

  /** Serving without a rule looks like serving: whoever named the wrong file would not know. */
  #warnOfAbsence(changed: readonly string[]): void {
    const { log } = this.#options
    const absences = [...this.#loaded].flatMap(([file, { documents }]) => {
      const absence = absenceOfRules([documents], this.#rulesName)
      return absence === undefined ? [] : [{ file, absence }]
    })
    for (const { file, absence } of absences)
      if (changed.includes(file)) log.warn({ file }, `the file ${absence}`)
    const all = [...this.#loaded.values()].map(({ documents }) => documents)
    if (absences.length === 0 && !all.some(one => hasRules(one) || one.problems.length > 0))
      log.warn({ files: this.#options.files }, 'no file holds rules; no Pod is sent to a VNode')
  }

  get #rulesName(): string {
    return this.#options.rulesName ?? RULES_CONFIGMAP
  }

  get #isStarted(): boolean {
    return this.#poll !== undefined
  }

  #reportRules(files: readonly [string, LoadedFile][]): void {
    const { log, state } = this.#options
    const texts = files.flatMap(([file, { documents }]) => documents.rulesTexts.map(text => ({ file, text })))
    const chosen = chosenRulesText(
      texts.map(one => one.text),
      this.#options.rulesNamespace,
    )
    const used = texts.find(one => one.text === chosen)
    if (texts.length > 1) {
      const namespace = chosen && namespaceOfRules(chosen)
      log.warn(
        {
          files: texts.map(one => one.file),
          used: used?.file,
          ...(namespace === undefined ? {} : { namespace }),
        },
        'there are several ConfigMaps of rules; one is used',
      )
    }
    const rulesText = used?.text.text
    // Another part of a file was edited: what was said of the rules, and counted, holds.
    if (rulesText === this.#rulesText) return
    this.#rulesText = rulesText
    if (used === undefined) state.deleteConfigMap()
    else state.setConfigMap(used.text, fileOrigin('ConfigMap', used.file))
  }

  #reportObjects(files: readonly [string, LoadedFile][], state: RulesState): void {
    const before = this.#reported
    const reported = nothingReported()
    for (const [file, { documents }] of files) {
      for (const [index, { object, locator }] of documents.selectors.entries()) {
        const key = `${file}#${index}`
        const text = JSON.stringify(object)
        reported.selectors.set(key, text)
        if (before.selectors.get(key) !== text)
          state.setSelector(key, object, fileOrigin('Selector', file, selectorName(object)), locator)
      }
      for (const { name, labels } of documents.namespaces) {
        reported.namespaces.add(name)
        state.setNamespace(name, labels)
      }
      for (const vnode of documents.vnodes) {
        reported.vnodes.add(vnode.name)
        state.setVnode(vnode)
      }
    }
    for (const key of before.selectors.keys()) if (!reported.selectors.has(key)) state.deleteSelector(key)
    for (const name of before.namespaces.difference(reported.namespaces)) state.deleteNamespace(name)
    for (const name of before.vnodes.difference(reported.vnodes)) state.deleteVnode(name)
    this.#reported = reported
  }
}

/** What of the files the state has been told. */
interface Reported {
  /** By file and place in it, as JSON. */
  readonly selectors: Map<string, string>
  readonly namespaces: Set<string>
  readonly vnodes: Set<string>
}

function nothingReported(): Reported {
  return { selectors: new Map(), namespaces: new Set(), vnodes: new Set() }
}
