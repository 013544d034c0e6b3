import { Command } from 'commander'
import t from 'tap'
import {
  addSettingsOptions,
  readLabels,
  readToleration,
  type SettingsOptions,
  settingsFrom,
} from '../../../src/config/settings.ts'
import { DEFAULT_SETTINGS, type Settings } from '../../../src/core/settings.ts'

function settingsOf(...argv: readonly string[]): Settings {
  const command = addSettingsOptions(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
  return settingsFrom(command.parse([...argv], { from: 'user' }).opts<SettingsOptions>())
}

t.test('without flags they are the defaults', async t => {
  t.strictSame(settingsOf(), DEFAULT_SETTINGS)
})

const FLAGS: Readonly<Record<string, readonly [argv: string[], wanted: Partial<Settings>]>> = {
  'a node selector': [
    ['--vnode-node-selector', 'a.io/b=c, d='],
    {
      nodeSelector: new Map([
        ['a.io/b', 'c'],
        ['d', ''],
      ]),
    },
  ],
  'a toleration': [
    ['--vnode-toleration', 'a.io/b=c:NoExecute'],
    { toleration: { key: 'a.io/b', operator: 'Equal', value: 'c', effect: 'NoExecute' } },
  ],
  'excluded namespaces, and always the installation’s': [
    ['--exclude-namespaces', 'a, b', '--install-namespace', 'c'],
    { excludedNamespaces: new Set(['a', 'b', 'c']), installNamespace: 'c' },
  ],
  'no excluded namespaces': [['--exclude-namespaces', ''], { excludedNamespaces: new Set(['vnode-system']) }],
  'whose skip counts': [['--allow-skip', 'never'], { allowSkip: 'never' }],
  'the scope of Selectors': [['--selector-scope', 'cluster'], { selectorScope: 'cluster' }],
  'what tenants may set': [['--tenant-effects', 'a,b'], { tenantEffects: new Set(['a', 'b']) }],
  'how long Pods outlive a VNode': [
    ['--unreachable-toleration-seconds', '0'],
    { unreachableTolerationSeconds: 0 },
  ],
  'no longer than every Pod does': [
    ['--unreachable-toleration-seconds', '300'],
    { unreachableTolerationSeconds: 300 },
  ],
}

for (const [what, [argv, wanted]] of Object.entries(FLAGS)) {
  t.test(what, async t => {
    t.strictSame(settingsOf(...argv), { ...DEFAULT_SETTINGS, ...wanted })
  })
}

t.test('what is no setting is refused', async t => {
  const cases: [argv: string[], message: RegExp][] = [
    [['--vnode-node-selector', ''], /at least one label/],
    [['--vnode-node-selector', 'a'], /"a" is not a label, key=value: it has no "="/],
    [['--vnode-node-selector', 'a=b c'], /"a=b c" is not a label/],
    [['--vnode-node-selector', 'a=b,=c'], /"=c" is not a label/],
    [['--vnode-node-selector', '__proto__=x'], /is not a label/],
    [
      ['--vnode-toleration', 'a=b'],
      /must be key=value:Effect, with one of NoSchedule, PreferNoSchedule, NoExecute/,
    ],
    [['--vnode-toleration', 'a=b:Never'], /must be key=value:Effect/],
    [['--vnode-toleration', ':NoSchedule'], /is not a label/],
    [['--vnode-toleration', 'a=b c:NoSchedule'], /is not a label/],
    [['--allow-skip', 'all'], /pod, namespace, never/],
    [['--selector-scope', 'all'], /namespace, cluster/],
    [['--unreachable-toleration-seconds', '-1'], /from 0 to 2147483647/],
    [['--unreachable-toleration-seconds', '2147483648'], /from 0 to 2147483647/],
    ...['1', '299'].map((seconds): [string[], RegExp] => [
      ['--unreachable-toleration-seconds', seconds],
      /must be 0 or at least 300: Kubernetes gives every Pod 300 seconds, .* never shortened; 0 leaves them/,
    ]),
  ]
  for (const [argv, message] of cases) t.throws(() => settingsOf(...argv), { message }, argv.join(' '))
})

t.test('a taint without a value has none', async t => {
  t.strictSame(readToleration('a.io/b:PreferNoSchedule'), {
    key: 'a.io/b',
    operator: 'Equal',
    value: '',
    effect: 'PreferNoSchedule',
  })
})

t.test('a label’s value may hold no second "="', async t => {
  t.throws(() => readLabels('a=b=c'), { message: /is not a label/ })
})
