import t from 'tap'
import { type EciFlags, eciSettingsFrom } from '../../../src/config/eci.ts'
import { parseVnodeConfig } from '../../../src/config/vnode-config.ts'

const [CONTEXT] = parseVnodeConfig(
  'kind: vnode\ncontexts: [{name: a, region-id: cn-hangzhou, access-key-id: LTAIcontext, access-key-secret: s}]\n',
).contexts
const KEYS = { ALIBABA_CLOUD_ACCESS_KEY_ID: 'LTAIenv', ALIBABA_CLOUD_ACCESS_KEY_SECRET: 'e' }
const RRSA = {
  ALIBABA_CLOUD_ROLE_ARN: 'acs:ram::1:role/vnode',
  ALIBABA_CLOUD_OIDC_PROVIDER_ARN: 'acs:ram::1:oidc-provider/a',
  ALIBABA_CLOUD_OIDC_TOKEN_FILE: '/token',
}
const rrsa = { kind: 'rrsa', roleArn: 'acs:ram::1:role/vnode', oidcTokenFile: '/token' }

interface Case {
  readonly flags?: Partial<EciFlags>
  readonly env?: Readonly<Record<string, string>>
  readonly hasContext?: boolean
  readonly wanted: object
}

const cases: Readonly<Record<string, Case>> = {
  'the context first': {
    env: { ...KEYS, ...RRSA },
    hasContext: true,
    wanted: { accessKeyId: 'LTAIcontext' },
  },
  'then the environment': { env: { ...KEYS, ...RRSA }, wanted: { kind: 'static', accessKeyId: 'LTAIenv' } },
  'with its token': {
    env: { ...KEYS, ALIBABA_CLOUD_SECURITY_TOKEN: 't' },
    wanted: { accessKeySecret: 'e', securityToken: 't' },
  },
  'then RRSA': { env: RRSA, wanted: rrsa },
  'the environment, when it is asked for': {
    flags: { credentials: 'env' },
    env: KEYS,
    hasContext: true,
    wanted: { accessKeyId: 'LTAIenv' },
  },
  'RRSA, when it is asked for': {
    flags: { credentials: 'rrsa' },
    env: { ...KEYS, ...RRSA },
    hasContext: true,
    wanted: rrsa,
  },
  "the instance's role, only when it is asked for": {
    flags: { credentials: 'ram-role', ramRole: 'vnode' },
    hasContext: true,
    wanted: { kind: 'ram-role', roleName: 'vnode' },
  },
}

for (const [sentence, { flags, env = {}, hasContext = false, wanted }] of Object.entries(cases)) {
  t.test(`credentials: ${sentence}`, async t => {
    const all = { regionId: 'cn-hangzhou', credentials: 'auto', ...flags } as const
    const { credentials } = eciSettingsFrom({ flags: all, env, context: hasContext ? CONTEXT : undefined })
    t.match(credentials, wanted)
  })
}

t.test('what was asked for and is not there is not replaced by something else', async t => {
  const settings = (credentials: EciFlags['credentials'], env = {}) =>
    eciSettingsFrom({ flags: { regionId: 'r', credentials }, env, context: undefined })
  t.throws(() => settings('config', KEYS), { message: /^no AccessKey: the context has no access-key-id/ })
  t.throws(() => settings('env', RRSA), { message: /ALIBABA_CLOUD_ACCESS_KEY_ID and/ })
  t.throws(() => settings('rrsa', KEYS), { message: /ALIBABA_CLOUD_ROLE_ARN, / })
})

t.test('region and way: flags before the context, the proxy from the environment', async t => {
  const env = { https_proxy: 'http://proxy:3128', NO_PROXY: 'localhost' }
  const given = eciSettingsFrom({
    flags: { credentials: 'auto', eciEndpoint: 'https://e' },
    env,
    context: CONTEXT,
  })
  t.match(given, {
    regionId: 'cn-hangzhou',
    endpoint: 'https://e',
    isVpcEndpoint: false,
    proxy: 'http://proxy:3128',
    noProxy: 'localhost',
  })
  const flags = { credentials: 'auto', regionId: 'cn-beijing' } as const
  t.equal(eciSettingsFrom({ flags, env: {}, context: CONTEXT }).regionId, 'cn-beijing')
  t.throws(() => eciSettingsFrom({ flags: { credentials: 'auto' }, env: {}, context: undefined }), {
    message: 'no region is given',
  })
})
