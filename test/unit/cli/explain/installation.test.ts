import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import t from 'tap'
import { parseAllDocuments } from 'yaml'
import {
  addInstallationOptions,
  chooseInstallation,
  type Installation,
  readInstallations,
  takeOver,
} from '../../../../src/cli/explain/installation.ts'
import { type SettingsOptions, settingsFrom } from '../../../../src/config/settings.ts'
import { type SpillTimesOptions, spillTimesFrom } from '../../../../src/config/spill-times.ts'
import type { ApiRequest, KubeClient } from '../../../../src/kube/api.ts'

const GOLDENS = join(import.meta.dirname, '../../../fixtures/chart')

/** An API server whose Deployments are those that the chart renders. */
async function installed(golden: string): Promise<Installation | undefined> {
  // One comment stands before each object.
  const text = readFileSync(join(GOLDENS, golden), 'utf8').replaceAll(/^# with .*$/gm, '---')
  const items = parseAllDocuments(text)
    .map(document => document.toJS())
    .filter(object => object?.kind === 'Deployment')
  const asked: ApiRequest[] = []
  const request = async (one: ApiRequest) => {
    asked.push(one)
    return { items }
  }
  const found = await readInstallations({ request } as unknown as KubeClient)
  t.match(asked, [{ query: { labelSelector: 'app.kubernetes.io/name=vnode-profile' } }])
  return chooseInstallation(found, undefined)
}

function flagsOf(installation: Installation, ...argv: readonly string[]) {
  const command = addInstallationOptions(new Command()).parse([...argv], { from: 'user' })
  const helper = takeOver(command, installation)
  const flags = command.opts<
    SettingsOptions & SpillTimesOptions & { rulesName: string; rulesNamespace: string }
  >()
  return { helper, settings: settingsFrom(flags), spill: spillTimesFrom(flags), ...flags }
}

t.test('what the chart was given is read from its Deployments; flags win', async t => {
  const installation = await installed('everything-set.txt')
  if (installation === undefined) throw new Error('there is none')
  t.strictSame(
    installation.deployments.map(name => name.replace(/^.*\//, '')),
    ['eci-vnode-profile-helper', 'eci-vnode-profile-webhook'],
  )
  const { helper, settings, spill, rulesName } = flagsOf(installation)
  t.strictSame(helper, { name: 'eci-vnode-profile', spills: true })
  t.equal(rulesName, 'profile')
  t.strictSame(spill, { afterMs: 30_000, waitForScaleUpMs: 900_000 })
  t.equal(settings.installNamespace, installation.namespace)
  const given = flagsOf(installation, '--spill-after', '1m', '--rules-name=mine')
  t.match(given, { spill: { afterMs: 60_000, waitForScaleUpMs: 900_000 }, rulesName: 'mine' })
})

const made = (namespace: string, ...args: readonly string[]): Installation => ({
  namespace,
  deployments: [`${namespace}/a-webhook`],
  args,
})

t.test('of several installations one has to be named', async t => {
  const all = [made('a'), made('b')]
  t.throws(() => chooseInstallation(all, undefined), { code: 'USAGE', message: /a, b$/ })
  t.equal(chooseInstallation(all, 'b')?.namespace, 'b')
  t.equal(chooseInstallation(all, 'c'), undefined)
  t.equal(chooseInstallation([], undefined), undefined)
})

t.test('flags that are unknown here are left alone, and --no-spill counts', async t => {
  t.match(flagsOf(made('a', '--port=1', '--read-only', '--allow-skip=never', '--no-spill')), {
    helper: { name: 'vnode-profile', spills: false },
    settings: { allowSkip: 'never' },
  })
})

t.test('arguments that no program of ours takes are told with their Deployment', async t => {
  t.throws(() => flagsOf(made('a', '--allow-skip=perhaps')), {
    code: 'BAD_SETTINGS',
    message: /^a\/a-webhook: .*--allow-skip/,
    next: /--no-installation/,
  })
})
