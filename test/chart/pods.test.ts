/** Every Pod that the chart leads to, in every situation: what it may do, where it may run, and that its program takes its flags. */
import t, { type Test } from 'tap'
import { buildProgram } from '../../src/cli/program.ts'
import { find, helmOrSkip, type PodOf, podsOf, VARIANTS } from '../helpers/chart.ts'
import { fakeIo } from '../helpers/cli.ts'

const helm = helmOrSkip(t)

/** Runs the command line up to where the command would begin, so that every flag and its value is judged by the command itself. */
async function readArguments(args: readonly string[]): Promise<string> {
  const { io, written } = fakeIo()
  const program = buildProgram(io)
  let command = program.commands.find(one => one.name() === args[0])
  command = command?.commands.find(one => one.name() === args[1]) ?? command
  command?.action(() => undefined)
  await program.parseAsync(args, { from: 'user' }).catch(() => undefined)
  return command === undefined ? `no command ${args[0]}` : written().stderr
}

const SAFE_CONTAINER = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
}
const NOT_ON_VNODES = {
  nodeSelectorTerms: [
    { matchExpressions: [{ key: 'type', operator: 'NotIn', values: ['virtual-kubelet'] }] },
  ],
}
const SECCOMP_ANNOTATION = 'seccomp.security.alpha.kubernetes.io/pod'

async function checkPod(t: Test, { metadata, spec }: PodOf, minor: number): Promise<void> {
  const { seccompProfile, ...identity } = spec.securityContext as Record<string, unknown>
  t.strictSame(identity, { runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000 })
  if (minor >= 19) t.strictSame(seccompProfile, { type: 'RuntimeDefault' })
  else t.equal(metadata.annotations?.[SECCOMP_ANNOTATION], 'runtime/default')
  t.match(spec.affinity, { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: NOT_ON_VNODES } })
  t.equal(spec.initContainers, undefined)
  for (const container of spec.containers) {
    t.strictSame(container.securityContext, SAFE_CONTAINER)
    t.match(container.resources, { requests: { cpu: /./, memory: /./ }, limits: { memory: /./ } })
    t.equal(await readArguments(container.args), '', `vnode ${container.args.join(' ')}`)
  }
}

if (helm !== undefined) {
  for (const [name, options] of VARIANTS) {
    t.test(name, async t => {
      const manifests = await helm.render(options)
      const pods = podsOf(manifests)
      const minor = Number((options.version ?? '1.34.4').split('.')[1])
      t.ok(pods.length >= 2)
      for (const pod of pods) await t.test(pod.of, t => checkPod(t, pod, minor))
      const accounts = manifests.filter(({ kind }) => kind === 'ServiceAccount')
      t.strictSame(
        pods.map(({ spec }) => spec.serviceAccountName).sort(),
        accounts.map(({ metadata }) => metadata.name).sort(),
        'each has an identity of its own',
      )
      for (const { automountServiceAccountToken } of accounts) t.equal(automountServiceAccountToken, false)
      for (const { spec } of pods) t.equal(spec.automountServiceAccountToken, true)
    })
  }

  t.test('the reading of arguments finds what a command does not know', async t => {
    t.match(await readArguments(['webhook', '--fort=1']), /unknown option '--fort=1'/)
    t.match(await readArguments(['webhook', '--port=x']), /whole number/)
    t.match(await readArguments(['nothing']), /no command/)
  })

  t.test('the grace period holds the drain', async t => {
    const values = { webhook: { shutdownDelaySeconds: 11, drainLimitSeconds: 50 } }
    const webhook = podsOf(await helm.render({ values })).find(pod => pod.of.endsWith('-webhook'))
    t.equal(webhook?.spec.terminationGracePeriodSeconds, 66)
    t.match(webhook?.spec.containers[0]?.args.join(' '), /--shutdown-delay=11 --drain-limit=50/)
  })

  t.test('in the network of nodes a rolling update needs no free node', async t => {
    const manifests = await helm.render({ values: { webhook: { hostNetwork: true } } })
    const [webhook] = podsOf(manifests).filter(pod => pod.of === 'Deployment/vnode-profile-webhook')
    t.match(webhook?.spec, { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' })
    const { spec } = find(manifests, 'Deployment/vnode-profile-webhook')
    t.strictSame(spec?.strategy, { rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } })
    t.notOk(
      manifests.some(one => one.kind === 'NetworkPolicy' && one.metadata.name === 'vnode-profile-webhook'),
      'no policy that would have no effect',
    )
  })
}
