import { join } from 'node:path'
import t from 'tap'
import { runVnode } from '../helpers/cli.ts'
import { renderKubeconfig } from '../helpers/kubeconfig.ts'

const WRONG: Readonly<Record<string, readonly [flags: readonly string[], said: RegExp]>> = {
  'a Service and a URL': [
    ['--service', 'a', '--webhook-url', 'https://a:8443'],
    /--service and --webhook-url go not together\nName one way/,
  ],
  'a URL without TLS': [['--webhook-url', 'http://a:8443'], /must be https:\/\/host:port/],
  'a URL with a path': [
    ['--webhook-url', 'https://a:8443/mutate'],
    /must be https:\/\/host:port, without a path/,
  ],
  'a life that is none': [
    ['--ca-life', '1 year'],
    /must be a duration such as 90s, 5m or 24h, and at least 30s/,
  ],
  'a life that is too short': [['--cert-life', '10s'], /at least 30s/],
  'a policy that is none': [['--failure-policy', 'ignore'], /Allowed choices are Ignore, Fail/],
  'a timeout of minutes': [['--timeout', '60'], /a whole number from 1 to 10/],
  'a name that no object can have': [['--name', 'Vnode_Profile'], /lower-case letters, digits and dashes/],
  'a name that is the vendor’s': [['--name', 'eci-profile'], /the vendor's own webhook is registered as/],
  'a source that is none': [['--cert-source', 'openssl'], /Allowed choices are helper, cert-manager/],
  'a Certificate without its namespace': [['--certificate', 'tls'], /must be namespace\/name/],
}

for (const [name, [flags, said]] of Object.entries(WRONG)) {
  t.test(`vnode helper refuses ${name}`, async t => {
    const { status, stderr } = await runVnode(['helper', ...flags])
    t.equal(status, 2)
    t.match(stderr, said)
  })
}

t.test('a variable that is wrong is named', async t => {
  const { status, stderr } = await runVnode(['helper'], { env: { VNODE_CA_LIFE: 'long' } })
  t.equal(status, 2)
  t.match(stderr, /the variable VNODE_CA_LIFE is wrong: must be a duration/)
})

t.test('without a cluster it says so', async t => {
  for (const command of ['helper', 'probe']) {
    const { status, stderr } = await runVnode([command, '--kubeconfig', '/no/such/file'])
    t.equal(status, 2, command)
    t.match(stderr, /no\/such\/file/, command)
  }
})

t.test('lease times with which there could be two leaders are refused', async t => {
  const kubeconfig = join(
    t.testdir({ kubeconfig: renderKubeconfig('https://127.0.0.1:1', '', { token: 'none' }) }),
    'kubeconfig',
  )
  const times = ['--lease-duration', '5s', '--renew-deadline', '10s']
  const { status, stderr } = await runVnode(['helper', '--kubeconfig', kubeconfig, ...times])
  t.equal(status, 2)
  t.match(stderr, /leader election: .* below the lease duration/)
})
