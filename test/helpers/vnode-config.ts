import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { TEST_ACCOUNT, TEST_NETWORK } from './fake-eci/server.ts'

/** The file as the seed's walk-through has it, with values that the fake knows. */
export const SEED_CONFIG = `kind: vnode
contexts:
    - name: default                                          # context名称
      region-id: cn-hangzhou                                 # 地域ID
      access-key-id: ${TEST_ACCOUNT.accessKeyId}                # AccessKey ID
      access-key-secret: ${TEST_ACCOUNT.accessKeySecret}      # AccessKey Secret,
      vswitch-id: ${TEST_NETWORK.vSwitches[0]?.vSwitchId}                  # VNode所属交换机ID
      security-group-id: ${TEST_NETWORK.securityGroups[0]?.securityGroupId}             # VNode所属安全组ID
      kubeconfig: /path/to/kubeconfig                        # 集群kubeconfig文件
current-context: default
`

export interface Home {
  readonly folder: string
  readonly file: string
  readonly env: Readonly<Record<string, string>>
  read(): string
  mode(): number
}

/** A home folder of the test's own; with a text, `~/.vnode/config` has it. */
export function home(t: Test, text?: string, mode = 0o600): Home {
  const folder = mkdtempSync(join(tmpdir(), 'vnode-home-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, '.vnode', 'config')
  if (text !== undefined) {
    mkdirSync(join(folder, '.vnode'))
    writeFileSync(file, text)
    chmodSync(file, mode)
  }
  return {
    folder,
    file,
    env: { HOME: folder },
    read: () => readFileSync(file, 'utf8'),
    mode: () => statSync(file).mode & 0o777,
  }
}
