import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { createEciClient, type EciClientOptions } from '../../src/eci/client.ts'
import { credentialSource } from '../../src/eci/credentials.ts'
import type { CreateVirtualNodeRequest, EciClient } from '../../src/eci/virtual-node.ts'
import { type FakeEci, TEST_ACCOUNT, TEST_NETWORK } from './fake-eci/server.ts'
import { patience } from './patience.ts'

export const TEST_CREDENTIALS = credentialSource({ kind: 'static', ...TEST_ACCOUNT })

/** A client of the fake that does not wait between attempts. */
export function eciClient(t: Test, fake: FakeEci, options: Partial<EciClientOptions> = {}): EciClient {
  const client = createEciClient({
    regionId: 'cn-hangzhou',
    endpoint: fake.url,
    extraCa: fake.caPem,
    credentials: TEST_CREDENTIALS,
    userAgent: 'vnode-profile/test',
    ...options,
    retrying: { sleep: async () => undefined, ...options.retrying },
  })
  t.teardown(() => client.close())
  return client
}

/** A kubeconfig that leads nowhere, for a fake whose VNodes join nothing. */
export const SECRET_KUBECONFIG = Buffer.from(
  'apiVersion: v1\nclusters: []\nusers: [{name: a, user: {token: the-token-that-nobody-may-see}}]\n',
).toString('base64')

export function createRequest(overrides: Partial<CreateVirtualNodeRequest> = {}): CreateVirtualNodeRequest {
  return {
    regionId: 'cn-hangzhou',
    clientToken: '7d0a1d0c-4f0e-4f57-9f0b-0f8a5f4a0001',
    vSwitchId: TEST_NETWORK.vSwitches[0]?.vSwitchId ?? '',
    securityGroupId: TEST_NETWORK.securityGroups[0]?.securityGroupId ?? '',
    kubeConfig: SECRET_KUBECONFIG,
    ...overrides,
  }
}

/** Waits until the API says so of the VNode, for a minute at most: nobody sends an event of it. */
export async function untilStatus(client: EciClient, virtualNodeId: string, status: string): Promise<void> {
  const end = performance.now() + patience(60_000)
  for (;;) {
    const [found] = await client.describeVirtualNodes({ virtualNodeIds: [virtualNodeId] })
    if (found?.status === status) return
    if (performance.now() > end)
      throw new Error(`VNode ${virtualNodeId} is ${JSON.stringify(found)}, not ${status}`)
    await delay(50)
  }
}
