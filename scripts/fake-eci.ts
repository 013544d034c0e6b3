/** `npm run fake-eci`: Alibaba Cloud's endpoint as tests have it, to try the command line without an account. */
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { messageOf } from '../src/core/errors.ts'
import { type ControlPlane, startControlPlane } from '../test/helpers/control-plane.ts'
import { type FakeEci, startFakeEci, TEST_ACCOUNT, TEST_NETWORK } from '../test/helpers/fake-eci/server.ts'
import { lastingAdmin, VPC_APISERVER } from '../test/helpers/vnode-scene.ts'

const HELP = `Plays the endpoint of ECI (and what vnode asks of VPC and ECS) over HTTPS. A VNode that is created joins the cluster whose
kubeconfig was sent: a control plane of its own (npm run control-plane builds one), or any that this machine reaches.

usage: npm run fake-eci [-- OPTIONS]

  --port N          port of the endpoint (default: 18443)
  --host ADDRESS    address to listen on (default: 127.0.0.1)
  --name NAME       a further name or address of its certificate (repeatable)
  --dir DIR         where ca.crt, config and kubeconfig go (default: fake-eci)
  --kubeconfig FILE the cluster to write into config, in place of a control plane of its own
  --route FROM=TO   origin of a VNode's view and of this machine's, such as https://192.168.0.10:6443=https://127.0.0.1:6443 (repeatable)

example: npm run -s fake-eci
`

/** The controller manager makes the token with which a VNode joins, the scheduler binds Pods to it. */
const PROGRAMS = { controllerManager: true, scheduler: true }

interface Options {
  readonly port: number
  readonly host: string
  readonly names: readonly string[]
  readonly dir: string
  readonly kubeconfig: string | undefined
  readonly routes: Readonly<Record<string, string>>
}

function parse(): Options | undefined {
  const text = { type: 'string' } as const
  const texts = { type: 'string', multiple: true } as const
  const { values } = parseArgs({
    options: {
      ...{ port: text, host: text, dir: text, kubeconfig: text, name: texts, route: texts },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help === true) return undefined
  const routes = (values.route ?? []).map(route => {
    const at = route.indexOf('=')
    return [new URL(route.slice(0, at)).origin, new URL(route.slice(at + 1)).origin] as const
  })
  return {
    port: Number(values.port ?? 18_443),
    host: values.host ?? '127.0.0.1',
    names: values.name ?? [],
    dir: values.dir ?? 'fake-eci',
    kubeconfig: values.kubeconfig,
    routes: Object.fromEntries(routes),
  }
}

async function run(options: Options): Promise<void> {
  const { dir } = options
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const controlPlane = options.kubeconfig === undefined ? await startControlPlane(PROGRAMS) : undefined
  const own = controlPlane === undefined ? {} : { [VPC_APISERVER]: controlPlane.url }
  const fake = await startFakeEci({ ...options, routes: { ...own, ...options.routes }, onCall: say })
  await writeFile(join(dir, 'ca.crt'), fake.caPem)
  await writeFile(join(dir, 'config'), config(await kubeconfigOf(options, controlPlane)), { mode: 0o600 })
  process.stdout.write(introduction(fake, options, controlPlane))
  const stop = async () => {
    await fake.stop()
    await controlPlane?.stop()
    process.exit(0)
  }
  process.once('SIGINT', stop).once('SIGTERM', stop)
}

async function kubeconfigOf(
  { dir, kubeconfig }: Options,
  controlPlane: ControlPlane | undefined,
): Promise<string> {
  if (controlPlane === undefined) return resolve(kubeconfig ?? '')
  const own = join(resolve(dir), 'kubeconfig')
  await copyFile(await lastingAdmin(controlPlane), own)
  return own
}

function config(kubeconfig: string): string {
  return `kind: vnode
contexts:
    - name: default
      region-id: cn-hangzhou
      access-key-id: ${TEST_ACCOUNT.accessKeyId}
      access-key-secret: ${TEST_ACCOUNT.accessKeySecret}
      vswitch-id: ${TEST_NETWORK.vSwitches[0]?.vSwitchId}
      security-group-id: ${TEST_NETWORK.securityGroups[0]?.securityGroupId}
      kubeconfig: ${kubeconfig}
current-context: default
`
}

function introduction(fake: FakeEci, { dir }: Options, controlPlane: ControlPlane | undefined): string {
  const cluster =
    controlPlane === undefined
      ? ''
      : `export VNODE_APISERVER=${VPC_APISERVER} KUBECONFIG=${dir}/kubeconfig   # Kubernetes ${controlPlane.version}\n`
  return `The fake ECI endpoint serves ${fake.url}. In another terminal, in this folder:

export VNODE_CONFIG=${dir}/config VNODE_ECI_ENDPOINT=${fake.url} VNODE_ECI_CA=${dir}/ca.crt
${cluster}npm run -s vnode -- create --wait
npm run -s vnode -- list

Every call is printed here. Ctrl-C stops.

`
}

function say({
  action,
  status = 0,
  code,
  requestId,
}: {
  action: string
  status?: number
  code?: string
  requestId: string
}): void {
  process.stdout.write(`${new Date().toISOString()}  ${action}  ${status} ${code ?? 'OK'}  ${requestId}\n`)
}

try {
  const options = parse()
  if (options === undefined) process.stdout.write(HELP)
  else await run(options)
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`)
  process.exit(1)
}
