import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { findConfig } from '../../../src/kube/kubeconfig.ts'

test('where the configuration is', async t => {
  const dir = t.testdir({
    one: 'x',
    two: 'x',
    home: { '.kube': { config: 'x' } },
    empty: {},
    account: { token: 'x' },
  })
  const file = (name: string) => join(dir, name)
  const inPod = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '6443' }
  const files = (...names: string[]) => ({ kind: 'files', files: names.map(file) })
  const cluster = (server: string) => ({ kind: 'cluster', server, directory: file('account') })
  const everything = { ...inPod, KUBECONFIG: file('two'), HOME: file('home') }
  const cases: [
    title: string,
    kubeconfig: string | undefined,
    env: Record<string, string>,
    account: string,
    found: object,
  ][] = [
    ['the flag wins over everything', file('one'), everything, 'account', files('one')],
    ['a Pod uses its service account', undefined, everything, 'account', cluster('https://10.0.0.1:6443')],
    [
      'a Pod may have an IPv6 address and no port',
      undefined,
      { KUBERNETES_SERVICE_HOST: 'fd00::1' },
      'account',
      cluster('https://[fd00::1]:443'),
    ],
    ['a Pod without a token uses KUBECONFIG', undefined, everything, 'empty', files('two')],
    ['no Pod, though a token lies there', undefined, { KUBECONFIG: file('two') }, 'account', files('two')],
    [
      'KUBECONFIG may name several files, not all there',
      undefined,
      { KUBECONFIG: `${file('two')}:${file('none')}:${file('one')}` },
      'empty',
      files('two', 'one'),
    ],
    [
      'an empty KUBECONFIG is none',
      undefined,
      { KUBECONFIG: '', HOME: file('home') },
      'empty',
      files('home/.kube/config'),
    ],
    [
      'the last resort is the home directory',
      undefined,
      { HOME: file('home') },
      'empty',
      files('home/.kube/config'),
    ],
  ]
  for (const [title, kubeconfig, env, account, found] of cases) {
    t.strictSame(await findConfig({ kubeconfig, env, serviceAccountDir: file(account) }), found, title)
  }
})

test('nothing found names what was tried and the flag', async t => {
  const dir = t.testdir({})
  await mkdir(join(dir, 'unrelated'))
  await writeFile(join(dir, 'unrelated', 'config'), 'x')
  const search = { kubeconfig: undefined, serviceAccountDir: join(dir, 'account') }
  const cases: [Record<string, string>, string[]][] = [
    [{ HOME: dir }, [join(dir, 'account', 'token'), join(dir, '.kube', 'config')]],
    [{}, ['~/.kube/config (HOME is not set)']],
    [{ KUBECONFIG: '/no/a:/no/b', HOME: dir }, ['/no/a (KUBECONFIG)', '/no/b (KUBECONFIG)']],
  ]
  for (const [env, tried] of cases) {
    const error = await findConfig({ ...search, env }).then(
      () => new Error('found'),
      (reason: Error) => reason,
    )
    t.match(error, { code: 'KUBECONFIG', next: 'Name one with --kubeconfig FILE.' })
    for (const path of tried) t.match(error.message, path)
  }
  await t.rejects(findConfig({ ...search, kubeconfig: '/no/such', env: {} }), {
    code: 'KUBECONFIG',
    message: 'no kubeconfig found; tried: /no/such',
  })
})
