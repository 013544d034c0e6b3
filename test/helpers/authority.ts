import { generateKeyPair } from 'node:crypto'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import forge from 'node-forge'

const HOUR = 3_600_000

export interface Identity {
  /** What the apiserver takes for the user: the common name. */
  readonly user: string
  /** What the apiserver takes for the groups: the organizations. */
  readonly groups?: readonly string[]
}

export interface Authority {
  readonly certPem: string
  readonly keyPem: string
  /** The one key of all certificates that this authority issues: more of them would only cost time. */
  readonly leafKeyPem: string
  issueClient(identity: Identity): string
  /** A certificate of a server on the loopback address, and on further addresses and names if there are any. */
  issueServer(more?: readonly string[]): string
}

/** A certificate authority for one control plane. It shares no code with the certificates that are under test. */
export async function makeAuthority(name = 'control-plane'): Promise<Authority> {
  const [keyPem, leafKeyPem] = await Promise.all([makeKey(), makeKey()])
  const signer = forge.pki.privateKeyFromPem(keyPem)
  const issuer = [{ name: 'commonName', value: name }]
  let issued = 0

  const issue = (ofKey: string, subject: forge.pki.CertificateField[], extensions: object[]): string => {
    const certificate = forge.pki.createCertificate()
    const { n, e } = forge.pki.privateKeyFromPem(ofKey)
    certificate.publicKey = forge.pki.setRsaPublicKey(n, e)
    issued += 1
    certificate.serialNumber = `0${issued.toString(16)}`.slice(-2)
    certificate.validity.notBefore = new Date(Date.now() - HOUR)
    certificate.validity.notAfter = new Date(Date.now() + 24 * HOUR)
    certificate.setSubject(subject)
    certificate.setIssuer(issuer)
    certificate.setExtensions(extensions)
    certificate.sign(signer, forge.md.sha256.create())
    return forge.pki.certificateToPem(certificate)
  }

  return {
    certPem: issue(keyPem, issuer, [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true },
    ]),
    keyPem,
    leafKeyPem,
    issueClient: ({ user, groups = [] }) => {
      const organizations = groups.map(value => ({ name: 'organizationName', value }))
      const subject = [{ name: 'commonName', value: user }, ...organizations]
      return issue(leafKeyPem, subject, [{ name: 'extKeyUsage', clientAuth: true }])
    },
    issueServer: (more = []) =>
      issue(
        leafKeyPem,
        [{ name: 'commonName', value: 'kube-apiserver' }],
        [
          { name: 'extKeyUsage', serverAuth: true },
          {
            name: 'subjectAltName',
            altNames: [
              { type: 7, ip: '127.0.0.1' },
              { type: 2, value: 'localhost' },
              ...more.map(name => (isIP(name) === 0 ? { type: 2, value: name } : { type: 7, ip: name })),
            ],
          },
        ],
      ),
  }
}

async function makeKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  })
  return privateKey
}
