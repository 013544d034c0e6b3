import t from 'tap'
import {
  parseAlternativeName,
  parseAlternativeNames,
} from '../../../../src/core/certificate/alternative-name.ts'
import { VnodeError } from '../../../../src/core/errors.ts'

const accepted = new Map([
  ['localhost', 'dns localhost'],
  ['Webhook.VNode-System.SVC', 'dns webhook.vnode-system.svc'],
  ['a1', 'dns a1'],
  ['xn--bcher-kva.example', 'dns xn--bcher-kva.example'],
  [' 127.0.0.1 ', 'ip 7f000001'],
  ['255.255.255.255', 'ip ffffffff'],
  ['::1', 'ip 00000000000000000000000000000001'],
  ['::', 'ip 00000000000000000000000000000000'],
  ['[fd00::a:B]', 'ip fd0000000000000000000000000a000b'],
  ['1::', 'ip 00010000000000000000000000000000'],
  ['2001:DB8:0:1:2:3:4:5', 'ip 20010db8000000010002000300040005'],
  ['::ffff:10.0.0.7', 'ip 00000000000000000000ffff0a000007'],
])

const refused = [
  '',
  ' ',
  '.',
  'a..b',
  'a.',
  '-a',
  'a_b',
  '*.example.org',
  'host:8443',
  'https://localhost',
  '10.0.0',
  '10.0.0.256',
  '1.2.3.4.5',
  '::1::',
  '1:2:3',
  'fe80::1%eth0',
  '::1]/x[',
  'bücher.example',
  `${'a'.repeat(64)}.example`,
  `${'a.'.repeat(127)}aa`,
]

t.test('names and addresses become what a certificate holds', async t => {
  for (const [host, expected] of accepted) {
    const { kind, text, bytes } = parseAlternativeName(host)
    t.equal(`${kind} ${kind === 'dns' ? text : Buffer.from(bytes).toString('hex')}`, expected, host)
  }
})

t.test('anything else is refused, and named', async t => {
  for (const host of refused) {
    t.throws(() => parseAlternativeName(host), { code: 'BAD_CERTIFICATE', message: `"${host}"` }, host)
  }
  t.throws(() => parseAlternativeName('a b'), VnodeError)
})

t.test('spellings of one name count once, in the order given', async t => {
  const names = parseAlternativeNames(['B', '::1', 'a', 'b', '0:0:0:0:0:0:0:1', '[::1]'])
  t.same(
    names.map(name => name.text),
    ['b', '::1', 'a'],
  )
})
