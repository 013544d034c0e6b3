/** Values that cannot work are refused, in words that name the value and the way out; those of all situations are not. */
import t from 'tap'
import { CHART, helmOrSkip, type RenderOptions, VARIANTS } from '../helpers/chart.ts'

/** What is set, and what Helm then says. */
const REFUSED = new Map<string, [options: RenderOptions, message: RegExp]>([
  [
    'a key with a typo',
    [
      { values: { webhok: { replicas: 3 } } },
      /at '\/webhok': value must be 'left out: there is no such value here, only .* webhook, helper, /,
    ],
  ],
  [
    'a key with a typo further down',
    [
      { values: { webhook: { replica: 3 } } },
      /at '\/webhook\/replica': value must be 'left out: there is no such value here, only replicas, opsPort, .*'/,
    ],
  ],
  [
    'a key in other letters',
    [
      { values: { bootstrap: { vswitchIds: ['vsw-1'] } } },
      /at '\/bootstrap\/vswitchIds': value must be 'left out: .* regionId, vSwitchIds, /,
    ],
  ],
  [
    'a key with a typo within a list',
    [
      { values: { image: { pullSecrets: [{ name: 'a', namespace: 'b' }] } } },
      /at '\/image\/pullSecrets\/0\/namespace': value must be 'left out: .*, only name'/,
    ],
  ],
  [
    'a key with a typo that is set to nothing',
    [{ values: { rules: { nmae: null } } }, /at '\/rules\/nmae': .*only namespace, name, create'/],
  ],
  [
    'a key with a typo in what several parts have',
    [
      { values: { approver: { resources: { limit: { memory: '1Gi' } } } } },
      /at '\/approver\/resources\/limit': value must be 'left out: .*, only requests, limits'/,
    ],
  ],
  [
    'the name of the vendor’s registration',
    [
      { values: { fullnameOverride: 'eci-profile' } },
      /fullnameOverride: the vendor's own webhook is registered as eci-profile; choose another name/,
    ],
  ],
  [
    'no replicas of the webhook',
    [
      { values: { webhook: { replicas: 0 } } },
      /webhook\.replicas: must be at least 1 \(2 for high availability\), not 0\. To take vnode-profile away, run helm uninstall; .*kube-system\/eci-profile/,
    ],
  ],
  [
    'no replicas of the helper',
    [{ values: { helper: { replicas: 0 } } }, /helper\.replicas: must be at least 1/],
  ],
  [
    'an approver where requests do not name their signer',
    [
      { version: '1.18.20', values: { approver: { enabled: true } } },
      /approver\.enabled: needs Kubernetes 1\.19.*this is v?1\.18\.20/,
    ],
  ],
  [
    'a DaemonSet without its namespace',
    [{ values: { daemonSets: { fence: ['kube-proxy'] } } }, /at '\/daemonSets\/fence\/0': .*pattern/],
  ],
  [
    'replicas that are no number',
    [{ values: { webhook: { replicas: 'two' } } }, /at '\/webhook\/replicas': got string, want integer/],
  ],
  [
    'Fail without exclusions',
    [
      { values: { registration: { failurePolicy: 'Fail' } } },
      /excludeNamespaces: registration\.failurePolicy Fail refuses Pods while the webhook is away, so name .* \[kube-flannel\]/,
    ],
  ],
  [
    'Fail where namespaces cannot be excluded by name',
    [
      { version: '1.20.15', values: { registration: { failurePolicy: 'Fail' }, excludeNamespaces: ['x'] } },
      /registration\.failurePolicy: Fail needs Kubernetes 1\.21.*Leave it at Ignore/,
    ],
  ],
  [
    'a failure policy that there is not',
    [
      { values: { registration: { failurePolicy: 'fail' } } },
      /at '\/registration\/failurePolicy': value must be one of 'Ignore', 'Fail'/,
    ],
  ],
  [
    'a time limit that holds up the cluster',
    [
      { values: { registration: { timeoutSeconds: 30 } } },
      /'\/registration\/timeoutSeconds': maximum: got 30, want 10/,
    ],
  ],
  [
    'a namespace that cannot be one',
    [
      { values: { excludeNamespaces: ['Kube_System'] } },
      /'\/excludeNamespaces\/0': 'Kube_System' does not match/,
    ],
  ],
  [
    'a toleration in another syntax',
    [
      { values: { placement: { toleration: 'k8s.aliyun.com/vnode' } } },
      /'\/placement\/toleration': .* does not match/,
    ],
  ],
  [
    'a time for unreachable VNodes that is shorter than what every Pod has',
    [
      { values: { placement: { unreachableTolerationSeconds: 299 } } },
      /placement\.unreachableTolerationSeconds: 299 would do nothing, as Kubernetes gives every Pod 300 seconds.*Set 0 to leave them as they are, or 300 and more\./,
    ],
  ],
  [
    'a port of the kubelet on the nodes',
    [
      { values: { webhook: { hostNetwork: true, port: 10250 } } },
      /webhook\.port: 10250 is a port of Kubernetes' own programs on nodes; with hostNetwork choose another one, such as 8443/,
    ],
  ],
  [
    'a port of the controller manager on the nodes, for operators',
    [
      { values: { webhook: { hostNetwork: true, opsPort: 10257 } } },
      /webhook\.opsPort: 10257 is a port of Kubernetes' own programs on nodes; .* such as 8080/,
    ],
  ],
  [
    'a label that the chart sets itself',
    [
      { values: { helper: { podLabels: { 'app.kubernetes.io/component': 'x' } } } },
      /helper\.podLabels: app\.kubernetes\.io\/component is the chart's own/,
    ],
  ],
  [
    'a life that the helper would refuse',
    [
      { values: { certificates: { life: '29s', caLife: '99999999h' } } },
      /certificates\.caLife: 99999999h is not .* certificates\.life: 29s is not within 30s and 292 years, which vnode helper takes; the default is 2160h/,
    ],
  ],
  [
    'a life that cert-manager would refuse',
    [
      { values: { certificates: { source: 'cert-manager', life: '59m' } } },
      /certificates\.life: 59m is not within 3600s and 292 years, which cert-manager takes/,
    ],
  ],
  [
    'a port that only root may listen on',
    [{ values: { webhook: { port: 443 } } }, /'\/webhook\/port': minimum: got 443, want 1,024/],
  ],
  [
    'one port for two things',
    [
      { values: { webhook: { port: 8080 } } },
      /webhook\.opsPort: 8080 is webhook\.port too; choose another one/,
    ],
  ],
  [
    'Kubernetes 1.15 without legacy',
    [
      { version: '1.15.12' },
      /legacy: Kubernetes v1\.15\.12 is older than 1\.16; set legacy: true, and install with --skip-crds/,
    ],
  ],
  [
    'legacy where it is not needed',
    [
      { version: '1.16.15', values: { legacy: true } },
      /legacy: is for Kubernetes 1\.13 to 1\.15.*leave it out/,
    ],
  ],
  [
    "somebody's certificates with legacy",
    [
      { version: '1.15.12', values: { legacy: true, certificates: { source: 'cert-manager' } } },
      /certificates\.source: legacy has Helm make the certificates/,
    ],
  ],
  ['Kubernetes 1.12', [{ version: '1.12.10' }, /requires kubeVersion: >=1\.13\.0-0/]],
])

const helm = helmOrSkip(t)

if (helm !== undefined) {
  for (const [name, [options, message]] of REFUSED) {
    t.test(`refused: ${name}`, async t => {
      const { code, stdout, stderr } = await helm.template(options)
      t.equal(code, 1)
      t.equal(stdout, '')
      t.match(stderr.replaceAll(/\s+/g, ' '), message)
    })
  }

  t.test('several mistakes are told at once', async t => {
    const { stderr } = await helm.template({
      values: { webhook: { replicas: 0, port: 8080 }, helper: { replicas: 0 } },
    })
    t.equal(stderr.match(/^- /gm)?.length, 3, stderr)
  })

  for (const [name, { values = {}, version = '1.34.4', namespace = 'vnode-system' }] of VARIANTS) {
    t.test(`lint: ${name}`, async t => {
      const args = [
        'lint',
        CHART,
        '--strict',
        '--kube-version',
        version,
        '--namespace',
        namespace,
        '--values',
        '-',
      ]
      const { code, stdout, stderr } = await helm.run(args, { input: JSON.stringify(values) })
      t.equal(code, 0, stdout + stderr)
    })
  }

  t.test('lint refuses a typo in the same words', async t => {
    const values = { webhook: { replica: 3 } }
    const args = ['lint', CHART, '--values', '-']
    const { code, stdout } = await helm.run(args, { input: JSON.stringify(values) })
    t.equal(code, 1)
    t.match(stdout, /at '\/webhook\/replica': value must be 'left out: .* only replicas, /)
  })

  t.test('as a part of another chart, with values for all charts', async t => {
    await t.resolves(helm.render({ values: { global: { region: 'cn-hangzhou' } } }))
  })
}
