import { spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { decideLeafRenewal } from '../../../src/core/certificate/renewal.ts'
import { ensureDevCertificates } from '../../../src/webhook/dev-certificates.ts'
import { makePki, writePki } from '../../helpers/certificates.ts'

const now = new Date('2026-05-01T00:00:00Z')
const DAY_MS = 86_400_000
const later = (days: number) => new Date(now.getTime() + days * DAY_MS)
const NAMES = ['tls.crt', 'tls.key', 'ca.crt'] as const

t.test('an empty place gets a CA, a certificate and a key that only its owner reads', async t => {
  const dir = join(t.testdir({}), 'new', 'certs')
  const made = await ensureDevCertificates(dir, { hosts: ['webhook.test', '10.0.0.7'], now })
  t.same(made, { created: true, reason: 'there is no certificate' })
  t.same((await readdir(dir)).sort(), ['ca.crt', 'tls.crt', 'tls.key'], 'and nothing else: no CA key')
  t.equal((await stat(join(dir, 'tls.key'))).mode & 0o777, 0o600)
  const [certPem, keyPem, caPem] = await readAll(dir)
  const hosts = ['localhost', '127.0.0.1', '::1', 'webhook.test', '10.0.0.7']
  t.match(decideLeafRenewal({ certPem, keyPem, caPem, hosts, now }), { needed: false })
  t.equal(new X509Certificate(caPem ?? '').ca, true)
})

t.test('usable files stay, others are made anew', async t => {
  const cases: [
    sentence: string,
    change: (dir: string) => Promise<void>,
    hosts: string[],
    days: number,
    reason: RegExp | false,
  ][] = [
    ['nothing changed', async () => {}, ['a.test'], 1, false],
    ['fewer names', async () => {}, [], 1, false],
    ['before two thirds', async () => {}, [], 240, false],
    ['after two thirds', async () => {}, [], 250, /two thirds/],
    ['expired', async () => {}, [], 400, /expired/],
    ['the clock went back', async () => {}, [], -1, /not valid before/],
    ['another name', async () => {}, ['b.test'], 1, /not for b\.test/],
    ['the key is gone', dir => rm(join(dir, 'tls.key')), [], 1, /has no key/],
    ['the CA is gone', dir => rm(join(dir, 'ca.crt')), [], 1, /there is no CA/],
    ['the certificate is empty, and so is the key', empty, [], 1, /there is no certificate/],
  ]
  for (const [sentence, change, hosts, days, reason] of cases) {
    const dir = t.testdir({})
    await ensureDevCertificates(dir, { hosts: ['a.test'], now })
    await change(dir)
    const before = await readAll(dir)
    const result = await ensureDevCertificates(dir, { hosts, now: later(days) })
    t.equal(result.created, reason !== false, sentence)
    t.match(result.reason, reason || /is good/, sentence)
    const after = await readAll(dir)
    if (reason === false) t.same(after, before, sentence)
    else
      t.notOk(
        after.some((text, index) => text === before[index]),
        `${sentence}: all three are new`,
      )
    const again = await ensureDevCertificates(dir, { hosts, now: later(days) })
    t.equal(again.created, false, `${sentence}: once`)
    t.same((await readdir(dir)).length, 3, `${sentence}: no temporary file stays`)
  }
})

t.test('files that were made elsewhere are refused and left alone', async t => {
  const foreign = makePki()
  const cases: [sentence: string, place: (dir: string) => Promise<void>, file: string][] = [
    ['a pair', dir => writePki(dir, foreign), 'tls.crt'],
    ['a certificate alone', dir => writeFile(join(dir, 'tls.crt'), foreign.leaf.certPem), 'tls.crt'],
    ['something that is no certificate', dir => writeFile(join(dir, 'tls.crt'), 'mine'), 'tls.crt'],
    ['a key alone', dir => writeFile(join(dir, 'tls.key'), foreign.leaf.keyPem), 'tls.key'],
    ['a CA alone', dir => writeFile(join(dir, 'ca.crt'), foreign.authority.certPem), 'ca.crt'],
    [
      'a CA beside ours',
      async dir => {
        await ensureDevCertificates(dir, { hosts: [], now })
        await writeFile(join(dir, 'ca.crt'), foreign.authority.certPem)
      },
      'ca.crt',
    ],
  ]
  for (const [sentence, place, file] of cases) {
    for (const days of [0, 4000]) {
      const dir = t.testdir({})
      await place(dir)
      const before = await readAll(dir)
      const error = {
        code: 'BAD_CERTIFICATE',
        message: `${join(dir, file)} was not made by`,
        next: /--cert-dir/,
      }
      await t.rejects(ensureDevCertificates(dir, { hosts: [], now: later(days) }), error, sentence)
      t.same(await readAll(dir), before, sentence)
    }
  }
})

t.test('a key that does not belong to our certificate is kept under another name', async t => {
  const dir = t.testdir({})
  await ensureDevCertificates(dir, { hosts: [], now })
  const { leaf } = makePki()
  await writeFile(join(dir, 'tls.key'), leaf.keyPem)
  t.match(await ensureDevCertificates(dir, { hosts: [], now }), { created: true, reason: /does not belong/ })
  const kept = (await readdir(dir)).filter(name => /^replaced-.*\.key$/.test(name))
  t.equal(kept.length, 1)
  t.equal(await readFile(join(dir, kept[0] ?? ''), 'utf8'), leaf.keyPem)
})

t.test('processes that start at once on one folder end with files that fit', async t => {
  for (let round = 0; round < 5; round += 1) {
    const dir = join(t.testdir({}), 'certs')
    await Promise.all([1, 2, 3].map(() => ensureDevCertificates(dir, { hosts: [], now })))
    t.equal((await ensureDevCertificates(dir, { hosts: [], now })).created, false)
  }
})

t.test('a place that cannot be written is a mistake that somebody can mend', async t => {
  const dir = t.testdir({ file: 'not a folder', 'tls.crt': { inside: '' } })
  const error = { code: 'BAD_FILE', next: /--cert-dir/ }
  await t.rejects(ensureDevCertificates(join(dir, 'file'), { hosts: [], now }), error)
  await t.rejects(ensureDevCertificates(dir, { hosts: [], now }), { ...error, message: /cannot be read/ })
})

t.test('a host that is none is refused before anything is written', async t => {
  const dir = join(t.testdir({}), 'certs')
  await t.rejects(ensureDevCertificates(dir, { hosts: ['a b'], now }), { code: 'BAD_CERTIFICATE' })
  await t.rejects(stat(dir), { code: 'ENOENT' })
})

t.test('scripts/certs.ts does the same from a shell', async t => {
  const dir = join(t.testdir({}), 'certs')
  const run = (...args: string[]) =>
    spawnSync(process.execPath, ['scripts/certs.ts', ...args], { encoding: 'utf8' })
  t.match(run(dir, '--host', 'a.test'), {
    status: 0,
    stdout: `${dir}: made: there is no certificate\n`,
    stderr: '',
  })
  t.match(run(dir, '--host', 'a.test'), {
    status: 0,
    stdout: `${dir}: left as they are: the certificate is good`,
  })
  t.match(run(dir, '--host', 'a b'), { status: 2, stdout: '', stderr: /"a b" is neither .*\n.*\n$/ })
  t.match(run('--port'), { status: 2, stderr: /--help/ })
  t.match(run('one', 'two'), { status: 2, stderr: /one folder/ })
  t.match(run('--help'), { status: 0, stdout: /usage: / })
})

async function empty(dir: string): Promise<void> {
  for (const name of ['tls.crt', 'tls.key']) await writeFile(join(dir, name), '')
}

function readAll(dir: string): Promise<(string | undefined)[]> {
  return Promise.all(NAMES.map(name => readFile(join(dir, name), 'utf8').catch(() => undefined)))
}
