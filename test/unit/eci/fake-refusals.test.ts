/** What the fake says of parameters that are missing or malformed, as tests of the product stand on it. */
import t from 'tap'
import type { CreateVirtualNodeRequest, EciClient } from '../../../src/eci/virtual-node.ts'
import { createRequest, eciClient } from '../../helpers/eci-client.ts'
import { fakeEci, TEST_NETWORK } from '../../helpers/fake-eci/server.ts'

const tags = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ key: `k${index}`, value: 'v' }))
const otherGroup = TEST_NETWORK.securityGroups[1]?.securityGroupId ?? ''

const CREATIONS: Readonly<Record<string, readonly [Partial<CreateVirtualNodeRequest>, code: string]>> = {
  'no region': [{ regionId: '' }, 'MissingRegionId'],
  'no vSwitch': [{ vSwitchId: '' }, 'MissingVSwitchId'],
  'no security group': [{ securityGroupId: '' }, 'MissingSecurityGroupId'],
  'no kubeconfig': [{ kubeConfig: '' }, 'MissingKubeConfig'],
  'another region': [{ regionId: 'cn-beijing' }, 'InvalidRegionId.NotFound'],
  'a vSwitch that there is not': [{ vSwitchId: 'vsw-none' }, 'InvalidVSwitchId.NotFound'],
  'eleven vSwitches': [{ vSwitchId: Array(11).fill('vsw-a').join(',') }, 'InvalidParameter.VSwitchId'],
  "another VPC's security group": [{ securityGroupId: otherGroup }, 'InvalidSecurityGroupId.VPCMismatch'],
  'a kubeconfig that is not base64': [{ kubeConfig: 'clusters: []' }, 'InvalidParameter.KubeConfig'],
  'base64 of something else': [
    { kubeConfig: Buffer.from('hello').toString('base64') },
    'InvalidParameter.KubeConfig',
  ],
  'a name of capitals': [{ virtualNodeName: 'Shop' }, 'InvalidParameter.VirtualNodeName'],
  'resources without a number': [{ customResources: 'gpu' }, 'InvalidParameter.CustomResources'],
  'a token that is too long': [{ clientToken: 'x'.repeat(65) }, 'InvalidParameter.ClientToken'],
  'a tag of the platform': [{ tag: [{ key: 'acs:x', value: '' }] }, 'InvalidParameter.Tag'],
  'a tag twice': [{ tag: [...tags(1), ...tags(1)] }, 'Duplicate.TagKey'],
  'twenty-one tags': [{ tag: tags(21) }, 'InvalidParameter.Tag'],
}

for (const [sentence, [overrides, code]] of Object.entries(CREATIONS)) {
  t.test(`refused: ${sentence}`, async t => {
    const fake = await fakeEci(t, { joins: false })
    const error = await eciClient(t, fake)
      .createVirtualNode(createRequest(overrides))
      .catch(error => error)
    t.match(error, { apiCode: code, isOutcomeUnknown: false })
    t.equal(fake.virtualNodes.length, 0)
    t.equal(fake.calls.length, 1, 'and not tried again')
  })
}

const OF_NONE: Readonly<Record<string, (client: EciClient) => Promise<unknown>>> = {
  update: client =>
    client.updateVirtualNode({
      virtualNodeId: 'vnd-00000000000000000000',
      virtualNodeName: 'shop',
      clusterDNS: '',
      clusterDomain: '',
      customResources: '',
      tag: [],
      clientToken: 'x',
    }),
  deletion: client => client.deleteVirtualNode('vnd-00000000000000000000'),
}

for (const [name, call] of Object.entries(OF_NONE)) {
  t.test(`refused: the ${name} of a VNode that there is not`, async t => {
    const fake = await fakeEci(t, { joins: false })
    const error = await call(eciClient(t, fake)).catch(error => error)
    t.match(error, { apiCode: 'InvalidVirtualNodeId.NotFound', httpStatus: 404 })
  })
}
