import { Command, Option } from 'commander'
import { applyEnvironment, dnsLabel, durationOption, httpsUrl } from '../../config/flags.ts'
import { INSTALL_NAMESPACE } from '../../core/names.ts'
import { DEFAULT_NAME } from '../../core/rbac.ts'
import { IDENTITY_KINDS, type IdentityKind } from '../../core/vnode/identity.ts'
import type { BootstrapFlags } from '../bootstrap/flags.ts'
import type { Io } from '../io.ts'
import { ANSWER_OUTPUTS } from '../output-format.ts'
import { addSessionOptions } from '../vnode/session-flags.ts'
import { addVirtualNodeOptions } from '../vnode/virtual-node-flags.ts'

const HELP = `
The request and its token are written to a Secret before anything is paid for: whatever is killed, retried or run twice, one VNode is
registered for this cluster and name. One that exists is used. The AccessKey comes from a Secret of the installation's namespace
(--credentials-secret; keys access-key-id, access-key-secret and, if temporary, security-token), or as --credentials says.

How the VNode shows the cluster who it is (--identity):
  tls-bootstrap    by certificates that it asks for with a bootstrap token, and renews; vnode approver approves them
  service-account  by a ServiceAccount's token, which never ends and is never renewed
  kubeconfig       as a kubeconfig in a Secret says (--kubeconfig-secret, key kubeconfig)

Examples:
  vnode bootstrap --region-id cn-hangzhou --vswitch-id vsw-7xv2yk45qp5etidgf0000 --security-group-id sg-7xv5tcch4kjdr65t0000
  vnode bootstrap --dry-run`

export function bootstrapCommand(io: Io): Command {
  const command = new Command('bootstrap')
    .summary('Register a VNode for this cluster, once, and wait until its Node is Ready.')
    .description(
      'Register a VNode for this cluster, once, and wait until its Node is Ready. The chart runs it after an installation and after each upgrade (bootstrap.enabled).',
    )
  addInstallation(command)
  addVirtualNode(command)
  addIdentity(command)
  command
    .option('--additional', 'even if this cluster has a VNode of another name')
    .addOption(
      durationOption(
        '--wait <duration>',
        'how long the Node may take to be Ready, or, with --remove, to be empty',
        '10m',
        1,
      ),
    )
    .option('--kubeconfig <file>', 'cluster (default: the one this runs in, then the usual places)')
    .option(
      '--remove',
      'the opposite: evict the Pods of the VNode that was registered, delete it, and all that was made for it',
    )
    .addOption(
      new Option('-o, --output <format>', 'how to print what came of it')
        .choices(['text', ...ANSWER_OUTPUTS])
        .default('text'),
    )
    .option('--verbose', 'every single step')
    .option('--dry-run', 'check everything, print the request, and write and send nothing')
    .addOption(new Option('--dry', 'the same').hideHelp())
    .addHelpText('after', HELP)
  return addSessionOptions(command).action(async () => {
    applyEnvironment(command, io.env)
    const { runBootstrapCommand } = await import('../bootstrap/run.ts')
    await runBootstrapCommand(command.opts<BootstrapFlags>(), io)
  })
}

function addInstallation(command: Command): void {
  command
    .option('--install-namespace <name>', 'namespace of the installation', dnsLabel, INSTALL_NAMESPACE)
    .option('--name <prefix>', 'by which the objects of the installation are named', dnsLabel, DEFAULT_NAME)
    .option('--credentials-secret <name>', "Secret of the installation's namespace with the AccessKey")
}

function addVirtualNode(command: Command): void {
  command.option('--vnode-name <name>', "the VNode's name (default: the prefix)")
  addVirtualNodeOptions(command).option('--eip-instance-id <id>', 'elastic IP address of the VNode')
}

function addIdentity(command: Command): void {
  command
    .option(
      '--apiserver <url>',
      "the API server's https://host:port in the VPC (default: kubeadm's cluster-info)",
      httpsUrl,
    )
    .addOption(
      new Option('--identity <kind>', 'how the VNode shows the cluster who it is')
        .choices(IDENTITY_KINDS)
        .default('tls-bootstrap' satisfies IdentityKind),
    )
    .option('--kubeconfig-secret <name>', "Secret with the VNode's kubeconfig, for '--identity kubeconfig'")
    .addOption(
      durationOption(
        '--least-credential-life <duration>',
        'a kubeconfig that ends before that is refused: it can never be replaced',
        '720h',
      ),
    )
    .option('--skip-reach-check', 'do not try the address and the credential from here first')
}
