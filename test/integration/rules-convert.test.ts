/** What `vnode rules convert` prints is for `kubectl apply`: a real one applies it, and what the cluster then has decides alike. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { compileDocuments, readRuleDocuments } from '../../src/core/selector/documents.ts'
import type { Rule } from '../../src/core/selector/rule.ts'
import { DEFAULT_SETTINGS } from '../../src/core/settings.ts'
import { CLI_FIXTURES, runVnode } from '../helpers/cli.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { installSelectorCrd } from '../helpers/rules.ts'

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  const kubectl = async (args: readonly string[], input = ''): Promise<string> => {
    const { code, stdout, stderr } = await controlPlane.kubectl(args, { input })
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`)
    return stdout
  }

  await t.test('a ConfigMap becomes Selectors, and Selectors a ConfigMap again', async t => {
    await installSelectorCrd(t, controlPlane)
    await kubectl(['create', 'namespace', 'vnode-system'])
    const before = readFileSync(join(CLI_FIXTURES, 'eci-profile.yaml'), 'utf8')

    const there = await runVnode(['rules', 'convert', '--to', 'selectors', 'eci-profile.yaml'])
    await kubectl(['apply', '-f', '-'], there.stdout)
    const selectors = await kubectl(['get', 'selectors.eci.aliyun.com', '-A', '-o', 'yaml'])
    const left = await kubectl(['get', 'configmap', '-n', 'kube-system', 'eci-profile', '-o', 'yaml'])
    t.same(rulesOf(`${selectors}---\n${left}`), rulesOf(there.stdout), 'the cluster has what was printed')
    t.same(otherKeysOf(left), otherKeysOf(before), "the cluster's own keys are as they were")

    const back = await runVnode(['rules', 'convert', '--to', 'configmap', '-'], {
      stdin: `${selectors}---\n${left}`,
    })
    t.equal(back.status, 0, back.stderr)
    await kubectl(['apply', '-f', '-'], back.stdout)
    const again = await kubectl(['get', 'configmap', '-n', 'kube-system', 'eci-profile', '-o', 'yaml'])
    t.same(rulesOf(again), rulesOf(back.stdout))
    t.same(otherKeysOf(again), otherKeysOf(before))
  })
}

function rulesOf(text: string): readonly Rule[] {
  return compileDocuments([readRuleDocuments(text)], DEFAULT_SETTINGS).rules
}

/** Lines of the ConfigMap's data other than the rules. */
function otherKeysOf(text: string): readonly string[] {
  return text
    .split('\n')
    .filter(line => /^ {2}(?:enable|security|vSwitch)/.test(line))
    .sort()
}
