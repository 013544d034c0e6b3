import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  DirectoryCertificateSource,
  type DirectoryOptions,
  parseServingCertificate,
} from '../../../src/webhook/certificate.ts'
import { makeKeys, makePki, makeTestLeaf, type Pki, until, writePki } from '../../helpers/certificates.ts'

const fingerprintOf = ({ leaf }: Pki) => new X509Certificate(leaf.certPem).fingerprint256
const FAST = { pollMs: 20 }
/** Longer than any test: only watching can bring the news. */
const NEVER = { pollMs: 3_600_000 }

interface Line {
  readonly level: 'info' | 'warn'
  readonly fields: object
  readonly message: string
}

t.test('what is in the directory is served', async t => {
  const dir = t.testdir({})
  const pki = makePki()
  await writePki(dir, pki)
  const source = makeSource(t, dir)
  t.equal(source.current(), undefined, 'nothing before start')
  t.match(source.healthy(), { ok: false, reason: 'no certificate was read yet' })
  await source.start()
  const certificate = new X509Certificate(pki.leaf.certPem)
  t.same(source.current(), {
    certPem: pki.leaf.certPem,
    keyPem: pki.leaf.keyPem,
    caPem: pki.authority.certPem,
    notBefore: certificate.validFromDate,
    notAfter: certificate.validToDate,
    fingerprint: certificate.fingerprint256,
  })
  t.match(source.healthy(), { ok: true, reason: /valid until / })
})

t.test('without ca.crt, or with an empty one, there is no CA', async t => {
  for (const change of [rm, (path: string) => writeFile(path, '\n')]) {
    const dir = t.testdir({})
    await writePki(dir, makePki())
    await change(join(dir, 'ca.crt'))
    const source = makeSource(t, dir)
    await source.start()
    t.equal(source.current()?.caPem, undefined)
  }
})

t.test('start refuses with what is wrong and what to do', async t => {
  const cases: [sentence: string, spoil: (dir: string) => Promise<void>, message: RegExp][] = [
    ['no directory', dir => rm(dir, { recursive: true }), /ENOENT.*tls\.crt/],
    ['no certificate', dir => rm(join(dir, 'tls.crt')), /ENOENT.*tls\.crt/],
    ['no key', dir => rm(join(dir, 'tls.key')), /ENOENT.*tls\.key/],
    ['a directory for a CA', dir => rm(join(dir, 'ca.crt')).then(() => mkdir(join(dir, 'ca.crt'))), /EISDIR/],
    ['an empty certificate', dir => writeFile(join(dir, 'tls.crt'), ''), /cannot be read/],
    ['the key of another', dir => writeFile(join(dir, 'tls.key'), makePki().leaf.keyPem), /does not belong/],
    ['a CA that is none', dir => writeFile(join(dir, 'ca.crt'), 'garbage'), /ca\.crt holds no certificate/],
  ]
  for (const [sentence, spoil, message] of cases) {
    const dir = join(t.testdir({}), 'certs')
    await writePki(dir, makePki())
    await spoil(dir)
    const source = makeSource(t, dir, { waitMs: 0 })
    await t.rejects(
      source.start(),
      { code: 'BAD_CERTIFICATE', message, next: /tls\.crt and tls\.key/ },
      sentence,
    )
    t.equal(source.current(), undefined)
    t.match(source.healthy(), { ok: false, reason: message }, sentence)
  }
})

t.test('start waits for whoever is writing the files', async t => {
  const dir = join(t.testdir({}), 'not', 'there', 'yet')
  const pki = makePki()
  const source = makeSource(t, dir, { ...NEVER, waitMs: 60_000 })
  const started = source.start()
  await writePki(dir, pki)
  await started
  t.equal(source.current()?.fingerprint, fingerprintOf(pki))
})

t.test('stop ends a start that still waits', async t => {
  const source = makeSource(t, join(t.testdir({}), 'missing'), { waitMs: 60_000 })
  const started = source.start()
  source.stop()
  await t.rejects(started, { code: 'BAD_CERTIFICATE' })
})

const ways = new Map<string, DirectoryOptions>([
  ['by watching', NEVER],
  ['by watching and polling', FAST],
])
for (const [way, options] of ways) {
  t.test(`changed files are taken up ${way}`, async t => {
    const dir = t.testdir({})
    await writePki(dir, makePki())
    const source = makeSource(t, dir, options)
    const seen: string[] = []
    source.onChange(({ fingerprint }) => seen.push(fingerprint))
    await source.start()
    const [second, third] = [makePki(), makePki()]
    for (const pki of [second, third]) {
      await writePki(dir, pki)
      await until('the new certificate', () => source.current()?.fingerprint === fingerprintOf(pki))
      await until('its CA', () => source.current()?.caPem === pki.authority.certPem)
    }
    t.equal(seen[0] !== fingerprintOf(second), true, 'the first one is told as well')
    t.same([...new Set(seen)].slice(1), [fingerprintOf(second), fingerprintOf(third)])
  })

  t.test(`a Secret volume is followed ${way}`, async t => {
    const dir = t.testdir({})
    const first = makePki()
    await publish(dir, 1, first)
    for (const name of ['tls.crt', 'tls.key', 'ca.crt']) await symlink(join('..data', name), join(dir, name))
    const { log, lines } = makeLog()
    const source = makeSource(t, dir, { ...options, log })
    const seen = new Map<string, string | undefined>()
    source.onChange(({ fingerprint, caPem }) => seen.set(fingerprint, caPem))
    await source.start()
    const versions = [first]
    for (let version = 2; version <= 6; version += 1) {
      const pki = makePki()
      versions.push(pki)
      await publish(dir, version, pki)
      await until('the new version', () => source.current()?.caPem === pki.authority.certPem)
      t.equal(source.current()?.fingerprint, fingerprintOf(pki))
    }
    t.same([...seen.keys()], versions.map(fingerprintOf))
    t.same(
      [...seen.values()],
      versions.map(({ authority }) => authority.certPem),
    )
    t.same(
      lines.filter(({ level }) => level === 'warn'),
      [],
      'without a complaint',
    )
  })
}

t.test('a directory that is replaced as a whole is followed, which watching cannot see', async t => {
  const parent = t.testdir({})
  const dir = join(parent, 'certs')
  const [first, second] = [makePki(), makePki()]
  await writePki(join(parent, 'one'), first)
  await writePki(join(parent, 'two'), second)
  await symlink('one', dir)
  const source = makeSource(t, dir, FAST)
  await source.start()
  t.equal(source.current()?.fingerprint, fingerprintOf(first))
  await symlink('two', join(parent, 'next'))
  await rename(join(parent, 'next'), dir)
  await until('the second pair', () => source.current()?.fingerprint === fingerprintOf(second))
  t.equal(source.current()?.caPem, second.authority.certPem)
})

t.test('a new certificate waits for its key', async t => {
  const dir = t.testdir({})
  const [first, second] = [makePki(), makePki()]
  await writePki(dir, first)
  const { log, lines } = makeLog()
  const source = makeSource(t, dir, { pollMs: 2_000, log })
  await source.start()
  await writeFile(join(dir, 'tls.crt'), second.leaf.certPem)
  await until('the mismatch is seen', () => source.healthy().reason.includes('does not belong'))
  t.equal(source.current()?.certPem, first.leaf.certPem)
  t.equal(source.current()?.keyPem, first.leaf.keyPem)
  t.match(source.healthy(), { ok: true, reason: /valid until .*; in .* now: tls\.key does not belong/ })
  await writeFile(join(dir, 'tls.key'), second.leaf.keyPem)
  await until('the second pair', () => source.current()?.fingerprint === fingerprintOf(second))
  t.equal(source.current()?.keyPem, second.leaf.keyPem)
  t.notMatch(source.healthy().reason, /does not belong/)
  t.same(
    lines.filter(({ level }) => level === 'warn'),
    [],
    'a short mismatch is no news',
  )
})

t.test('a problem that lasts is told once, and the old pair stays', async t => {
  const dir = t.testdir({})
  const [first, second] = [makePki(), makePki()]
  await writePki(dir, first)
  const { log, lines } = makeLog()
  const source = makeSource(t, dir, { ...FAST, log })
  await source.start()
  const problems = () => lines.filter(({ level }) => level === 'warn').map(({ fields }) => fields)
  const spoil: [what: string, () => Promise<void>, problem: RegExp][] = [
    ['a key that does not fit', () => writeFile(join(dir, 'tls.key'), second.leaf.keyPem), /does not belong/],
    [
      'half a certificate',
      () => writeFile(join(dir, 'tls.crt'), first.leaf.certPem.slice(0, 300)),
      /cannot be read/,
    ],
    ['no key', () => rm(join(dir, 'tls.key')), /ENOENT.*tls\.key/],
    ['nothing at all', () => rm(dir, { recursive: true }), /ENOENT.*tls\.crt/],
  ]
  for (const [index, [what, change, problem]] of spoil.entries()) {
    await change()
    await until(`complaint about ${what}`, () => problems().length === index + 1)
    // A newcomer that waits in vain gives the source the time of ten polls to repeat itself in.
    const newcomer = makeSource(t, dir, { waitMs: 10 * FAST.pollMs })
    await t.rejects(newcomer.start(), { code: 'BAD_CERTIFICATE', message: problem }, what)
    t.equal(problems().length, index + 1, `${what}: once`)
    t.match(problems()[index], { dir, problem }, what)
    t.equal(source.current()?.fingerprint, fingerprintOf(first), what)
    t.equal(source.healthy().ok, true, what)
  }
  await writePki(dir, second)
  await until('the second pair', () => source.current()?.fingerprint === fingerprintOf(second))
  t.equal(problems().length, spoil.length)
})

t.test('health is about the certificate that is served', async t => {
  const dir = t.testdir({})
  const made = new Date('2026-01-01T00:00:00Z')
  const pki = makePki()
  await writePki(dir, pki)
  const { validFromDate, validToDate } = new X509Certificate(pki.leaf.certPem)
  let now = made
  const source = makeSource(t, dir, { now: () => now })
  await source.start()
  const cases: [Date, boolean, RegExp][] = [
    [new Date(validFromDate.getTime() - 1000), false, /not valid before/],
    [validFromDate, true, /valid until/],
    [new Date(validToDate.getTime() - 1000), true, /valid until/],
    [validToDate, false, /expired at/],
  ]
  for (const [time, ok, reason] of cases) {
    now = time
    t.match(source.healthy(), { ok, reason }, time.toISOString())
  }
})

t.test('unchanged content is no change, and a listener may leave or fail', async t => {
  const dir = t.testdir({})
  const [first, second] = [makePki(), makePki()]
  await writePki(dir, first)
  const { log, lines } = makeLog()
  const source = makeSource(t, dir, { ...FAST, log })
  const seen: string[] = []
  let gone = 0
  const leave = source.onChange(() => {
    gone += 1
    leave()
    throw new Error('listener fails')
  })
  source.onChange(({ certPem }) => seen.push(certPem))
  await source.start()
  await rm(join(dir, 'tls.key'))
  await until('the key is missed', () => source.healthy().reason.includes('tls.key'))
  await writePki(dir, first)
  await until('the key is back', () => !source.healthy().reason.includes('tls.key'))
  t.same(seen, [first.leaf.certPem])
  await writePki(dir, second)
  await until('the second pair', () => seen.includes(second.leaf.certPem))
  t.equal(gone, 1)
  t.match(
    lines.find(({ level }) => level === 'warn'),
    { fields: { error: 'listener fails' } },
  )
})

t.test('after stop nothing changes any more', async t => {
  const dir = t.testdir({})
  await writePki(dir, makePki())
  const source = makeSource(t, dir, FAST)
  const other = makeSource(t, dir, FAST)
  await Promise.all([source.start(), other.start()])
  const before = source.current()
  source.onChange(() => t.fail('called after stop'))
  source.stop()
  source.stop()
  const second = makePki()
  await writePki(dir, second)
  await until('the other source has it', () => other.current()?.fingerprint === fingerprintOf(second))
  t.equal(source.current(), before)
})

t.test('a listener may stop the source', async t => {
  const dir = t.testdir({})
  await writePki(dir, makePki())
  const source = makeSource(t, dir, FAST)
  source.onChange(() => source.stop())
  await source.start()
  t.ok(source.current())
})

t.test('pairs that node:tls would refuse are refused before', async t => {
  const { authority, leaf } = makePki()
  const good = { cert: leaf.certPem, key: leaf.keyPem, ca: authority.certPem }
  const encrypted = makeKeys().privateKey.export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'secret',
  })
  const cases: [sentence: string, change: Partial<typeof good>, problem: RegExp][] = [
    ['a key with a passphrase', { key: encrypted.toString() }, /^tls\.crt or tls\.key cannot be read: ./],
    ['a public key', { key: publicPem() }, /cannot be read/],
    ['a broken chain', { cert: `${leaf.certPem}-----BEGIN CERTIFICATE-----\nAA` }, /cannot be read/],
    ['another pair of keys', { cert: makeTestLeaf(authority).certPem }, /does not belong/],
  ]
  for (const [sentence, change, problem] of cases) {
    t.match(parseServingCertificate({ ...good, ...change }), problem, sentence)
  }
  const chain = `${leaf.certPem}${authority.certPem}`
  t.match(parseServingCertificate({ ...good, cert: chain }), { certPem: chain }, 'a chain is served whole')
})

function publicPem(): string {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return publicKey.export({ type: 'spki', format: 'pem' }).toString()
}

function makeSource(t: Test, dir: string, options: DirectoryOptions = {}): DirectoryCertificateSource {
  const source = new DirectoryCertificateSource(dir, options)
  t.teardown(() => source.stop())
  return source
}

function makeLog() {
  const lines: Line[] = []
  const at = (level: Line['level']) => (fields: object, message: string) => {
    lines.push({ level, fields, message })
  }
  return { lines, log: { info: at('info'), warn: at('warn') } }
}

/** What a kubelet does: a folder per version, `..data` swapped by a rename, the old folder removed. */
async function publish(dir: string, version: number, pki: Pki): Promise<void> {
  await writePki(join(dir, `..v${version}`), pki)
  await symlink(`..v${version}`, join(dir, '..data_tmp'))
  await rename(join(dir, '..data_tmp'), join(dir, '..data'))
  await rm(join(dir, `..v${version - 1}`), { recursive: true, force: true })
  await readFile(join(dir, '..data', 'tls.crt'))
}
