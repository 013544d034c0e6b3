import t from 'tap'
import { checkNetwork } from '../../../src/bootstrap/network-check.ts'
import { type Notice, Progress } from '../../../src/bootstrap/progress.ts'
import { eciClient } from '../../helpers/eci-client.ts'
import { type Fault, fakeEci, TEST_NETWORK } from '../../helpers/fake-eci/server.ts'

const ATTEMPTS = 5
const CHECKS = ['DescribeVSwitches', 'DescribeSecurityGroups', 'ListUsage']

/** How each of the three calls ends, and whether the network is said to be unchecked, or the run ends there. */
const ENDINGS: Readonly<Record<string, readonly [fault: Fault, expected: RegExp, times?: number]>> = {
  'credentials that may not ask': [
    { kind: 'refuse', status: 403, code: 'Forbidden.RAM' },
    /^Unchecked .*Forbidden\.RAM.* It is left to ECI\.$/,
  ],
  'an endpoint that has no such API': [
    { kind: 'refuse', status: 404, code: 'InvalidVersion' },
    /^Unchecked .*InvalidVersion.* It is left to ECI\.$/,
  ],
  'an endpoint that has no such call': [
    { kind: 'refuse', status: 404, code: 'InvalidAction.NotFound' },
    /^Unchecked .*InvalidAction\.NotFound.* It is left to ECI\.$/,
  ],
  'nobody who answers': [{ kind: 'cut' }, /^Unchecked .*no answer from .* It is left to ECI\.$/, ATTEMPTS],
  'an AccessKey that there is not': [
    { kind: 'refuse', status: 404, code: 'InvalidAccessKeyId.NotFound' },
    /^Failed .*InvalidAccessKeyId\.NotFound/,
  ],
}

for (const [sentence, [fault, expected, times]] of Object.entries(ENDINGS)) {
  for (const action of CHECKS) {
    t.test(`${action}: ${sentence}`, async t => {
      const fake = await fakeEci(t, { joins: false })
      fake.plan(action, fault, times)
      t.match((await said(eciClient(t, fake))).at(-1), expected)
    })
  }
}

t.test('with every answer nothing is left to ECI', async t => {
  t.strictSame(await said(eciClient(t, await fakeEci(t, { joins: false }))), [
    'Checking the vSwitches, the security group and the quota',
  ])
})

async function said(eci: ReturnType<typeof eciClient>): Promise<readonly string[]> {
  const lines: string[] = []
  const say = ({ reason, message }: Notice) => lines.push(`${reason} ${message}`)
  const [vSwitch, group] = [TEST_NETWORK.vSwitches[0], TEST_NETWORK.securityGroups[0]]
  await checkNetwork({
    eci,
    virtualNode: {
      vSwitchIds: [vSwitch?.vSwitchId ?? ''],
      securityGroupId: group?.securityGroupId ?? '',
    },
    progress: new Progress({ say, events: undefined, involved: { namespace: '', name: '' } }),
    signal: new AbortController().signal,
  }).catch(error => lines.push(`Failed ${error.message}`))
  return lines
}
