import t from 'tap'
import { DEFAULT_SETTINGS } from '../../../src/core/settings.ts'
import { Watches } from '../../../src/scheduler/watches.ts'
import { createLogger } from '../../../src/telemetry/json-log.ts'
import { FakeApi, makeClient } from '../../helpers/fake-api.ts'
import { holds, type LogLine } from '../../helpers/webhook.ts'

const NAMESPACE = 'vnode-system'
const settings = {
  registration: {
    name: 'ours',
    target: { kind: 'service', namespace: NAMESPACE, name: 'ours-webhook', port: 443 },
    installNamespace: NAMESPACE,
    excludedNamespaces: [],
    failurePolicy: 'Ignore',
    timeoutSeconds: 2,
    rulesNamespace: 'kube-system',
    rulesName: 'eci-profile',
    injectFrom: undefined,
  },
  decisions: DEFAULT_SETTINGS,
  spill: undefined,
  owner: 'owner',
  certSource: 'cert-manager',
  secret: 'ours-tls',
  probe: 'ours-probe',
  lease: 'ours-helper',
  lastGood: 'ours-last-good-rules',
  lives: { authorityMs: 1, servingMs: 1 },
  graceMs: 1,
  probeIntervalMs: 1,
  periodMs: 1,
} as const

t.test('an API server without EndpointSlices: nobody is known to serve, which is said once', async t => {
  const api = await FakeApi.start(t)
  const log: LogLine[] = []
  api.answer(exchange => {
    if (exchange.path.startsWith('/apis/discovery.k8s.io')) exchange.refuse(404, 'NotFound')
    else if (exchange.isWatch) exchange.open()
    else exchange.list([])
  })
  const watches = new Watches({
    client: makeClient(t, api),
    settings,
    log: createLogger('debug', { write: text => void log.push(JSON.parse(text)) }),
    hasSlices: true,
    onNews: () => undefined,
  })
  t.teardown(() => watches.stop())
  watches.start()
  const looks = () => api.seen.filter(line => line.includes('discovery.k8s.io')).length
  await holds(() => watches.endpoints() !== undefined, 5000)
  const first = looks()
  await holds(() => looks() > first, 10_000)
  t.same(watches.endpoints(), [])
  t.match(log, [{ level: 'warn', msg: /serves no EndpointSlices .* it is not registered$/ }])
  t.equal(log.length, 1)
})
