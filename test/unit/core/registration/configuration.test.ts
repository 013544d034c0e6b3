import t from 'tap'
import {
  CONFIGURATION_KINDS,
  type RegistrationSpec,
  renderConfiguration,
} from '../../../../src/core/registration/configuration.ts'

const spec: RegistrationSpec = {
  name: 'ours',
  target: { kind: 'url', url: 'https://10.0.0.7:8443' },
  installNamespace: 'vnode-system',
  excludedNamespaces: [],
  failurePolicy: 'Fail',
  timeoutSeconds: 2,
  rulesNamespace: 'kube-system',
  rulesName: 'eci-profile',
  hasMatchConditions: true,
  injectFrom: undefined,
}

interface SentRule {
  readonly resources: readonly string[]
  readonly operations: readonly string[]
}

t.test('of Pods their creation alone is sent, and of the rest DaemonSets and rules', async t => {
  const sent = CONFIGURATION_KINDS.flatMap(kind => {
    const { webhooks } = renderConfiguration(kind, spec, { owner: { name: 'o', uid: 'u' }, bundle: 'PEM' })
    return webhooks.flatMap(({ rules }) => rules as readonly SentRule[])
  })
  const lines = sent.map(({ resources, operations }) => `${operations.join(' ')} ${resources.join(' ')}`)
  t.strictSame(
    [...new Set(lines)],
    ['CREATE pods', 'CREATE UPDATE daemonsets', 'CREATE UPDATE selectors', 'CREATE UPDATE configmaps'],
  )
})
