import t from 'tap'
import { parseCertificateData, renderCertificateData } from '../../../../src/core/certificate/secret-data.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')

t.test('what is rendered is read again', async t => {
  const data = {
    caCert: 'a',
    caKey: 'b',
    nextCaCert: 'c',
    nextCaKey: 'd',
    bundle: 'e',
    cert: 'f',
    key: 'g',
  }
  const rendered = renderCertificateData(data)
  t.strictSame(Object.keys(rendered), [
    'ca.crt',
    'ca.key',
    'next-ca.crt',
    'next-ca.key',
    'bundle',
    'tls.crt',
    'tls.key',
  ])
  t.strictSame(parseCertificateData({ data: rendered }), data)
})

const KEYS = ['ca.crt', 'ca.key', 'next-ca.crt', 'next-ca.key', 'bundle', 'tls.crt', 'tls.key']

t.test('what is missing is rendered as empty, and what is empty is read as missing', async t => {
  const data = parseCertificateData({
    data: { 'tls.crt': '', 'tls.key': base64(' \n'), 'ca.crt': base64('a') },
  })
  t.match(data, { cert: undefined, key: undefined, caCert: 'a', bundle: undefined })
  const rendered = renderCertificateData(data)
  t.strictSame(Object.keys(rendered), KEYS)
  t.strictSame(Object.values(rendered), [base64('a'), '', '', '', '', '', ''])
})

t.test('objects that are no Secret, and bytes that are no text, are read as far as they go', async t => {
  const nothing = KEYS.map(() => '')
  for (const object of [undefined, null, 7, {}, { data: null }, { data: [] }, { data: { 'tls.crt': 7 } }])
    t.strictSame(Object.values(renderCertificateData(parseCertificateData(object))), nothing)
  t.type(parseCertificateData({ data: { 'tls.crt': '/w==' } }).cert, 'string')
})
