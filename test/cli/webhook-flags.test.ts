import t from 'tap'
import { runVnode } from '../helpers/cli.ts'

const EITHER = /--cert-secret goes neither with --cert-dir nor with --dev-certs\nName one place/

t.test('a certificate has one place', async t => {
  for (const [name, flags, env] of [
    ['--cert-dir', ['--cert-dir', 'certs'], {}],
    ['--dev-certs', ['--dev-certs'], {}],
    ['VNODE_CERT_DIR', [], { VNODE_CERT_DIR: 'certs' }],
  ] as const) {
    const { status, stderr } = await runVnode(['webhook', '--cert-secret', 'a/b', ...flags], { env })
    t.equal(status, 2, name)
    t.match(stderr, EITHER, name)
  }
})

t.test('the Secret is named with its namespace', async t => {
  for (const name of ['tls', 'a/', '/b', 'a/b/c', 'A/b', 'a/b_c']) {
    const { status, stderr } = await runVnode(['webhook', '--cert-secret', name])
    t.equal(status, 2, name)
    t.match(stderr, /must be namespace\/name/, name)
  }
})
