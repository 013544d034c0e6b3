/** What the chart makes for a VNode: rights as they are listed, the same token as the program's, and what stays when the release goes. */
import t from 'tap'
import { fenceAccess } from '../../src/core/daemonset/rights.ts'
import { bootstrapTokenAccess, vnodeAccess } from '../../src/core/vnode/access.ts'
import { bootstrapAccess, removalAccess } from '../../src/core/vnode/bootstrap-access.ts'
import { BOOTSTRAP_GROUP, IDENTITY_KINDS } from '../../src/core/vnode/identity.ts'
import { BOOTSTRAPPED, helmOrSkip, NAMESPACE, nameOf, podsOf } from '../helpers/chart.ts'
import { listed, rendered } from '../helpers/chart-rights.ts'

const helm = helmOrSkip(t)
const { approver, bootstrap } = BOOTSTRAPPED

if (helm !== undefined) {
  for (const kind of IDENTITY_KINDS) {
    t.test(`rights, ${kind}`, async t => {
      const identity = { kind, kubeconfigSecret: 'given' }
      const values = {
        approver,
        bootstrap: { ...bootstrap, name: 'edge', identity, deleteOnUninstall: true },
      }
      const manifests = await helm.render({ values })
      const secrets = kind === 'kubeconfig' ? ['alibaba-cloud', 'given'] : ['alibaba-cloud']
      const named = { prefix: 'vnode-profile', virtualNodeName: 'edge' }
      const place = { installNamespace: NAMESPACE, ...named, identity: kind, secrets }
      t.strictSame(rendered(manifests, 'vnode-profile-bootstrap'), listed(bootstrapAccess(place)))
      t.strictSame(rendered(manifests, 'vnode-profile-removal'), listed(removalAccess(place)))
      const group = rendered(manifests, 'system:vnodes')
      const account = rendered(manifests, 'vnode-profile-vnode')
      t.strictSame(group, kind === 'tls-bootstrap' ? listed(vnodeAccess()) : [])
      t.strictSame(account, kind === 'service-account' ? listed(vnodeAccess()) : [])
      const token = rendered(manifests, BOOTSTRAP_GROUP)
      t.strictSame(token, kind === 'tls-bootstrap' ? listed(bootstrapTokenAccess()) : [])
    })
  }

  t.test('a VNode that outlives the release keeps its rights, and nothing else is kept', async t => {
    const kept = async (deleteOnUninstall: boolean) => {
      const manifests = await helm.render({
        values: { approver, bootstrap: { ...bootstrap, deleteOnUninstall } },
      })
      return manifests
        .filter(({ metadata }) => metadata.annotations?.['helm.sh/resource-policy'] === 'keep')
        .map(nameOf)
        .sort()
    }
    t.strictSame(await kept(true), [])
    t.strictSame(await kept(false), [
      'ClusterRole/vnode-profile-vnode',
      'ClusterRole/vnode-profile-vnode-token',
      'ClusterRoleBinding/vnode-profile-vnode',
      'ClusterRoleBinding/vnode-profile-vnode-token',
      'Role/vnode-profile-vnode',
      'RoleBinding/vnode-profile-vnode',
      'ValidatingAdmissionPolicy/vnode-profile-vnode',
      'ValidatingAdmissionPolicyBinding/vnode-profile-vnode',
    ])
  })

  t.test('Helm waits for as long as the Node may take', async t => {
    const job = async (waitSeconds: number) => {
      const manifests = await helm.render({ values: { approver, bootstrap: { ...bootstrap, waitSeconds } } })
      const found = manifests.find(one => nameOf(one) === 'Job/vnode-profile-bootstrap')
      const [pod] = podsOf(manifests).filter(one => one.of === 'Job/vnode-profile-bootstrap')
      return { deadline: found?.spec?.activeDeadlineSeconds, args: pod?.spec.containers[0]?.args ?? [] }
    }
    t.match(await job(180), { deadline: 240, args: /--wait=180s/ })
    t.match(await job(900), { deadline: 960 })
  })

  const FENCES = new Map<string, [values: object, fenced: readonly string[]]>([
    ['kube-proxy is kept off by default', [{}, ['kube-system/kube-proxy']]],
    ['null is the default', [{ daemonSets: { fence: null } }, ['kube-system/kube-proxy']]],
    ['none, if the list is empty', [{ daemonSets: { fence: [] } }, []]],
    ['those of a list, and no others', [{ daemonSets: { fence: ['a/b', 'a/c'] } }, ['a/b', 'a/c']]],
    ['none by default, without a VNode', [{ bootstrap: { ...bootstrap, enabled: false } }, []]],
  ])
  for (const [name, [values, fenced]] of FENCES) {
    t.test(`DaemonSets: ${name}, before the VNode is registered`, async t => {
      const manifests = await helm.render({ values: { ...BOOTSTRAPPED, ...values } })
      const [job] = podsOf(manifests).filter(one => one.of === 'Job/vnode-profile-daemonsets')
      t.strictSame(job?.spec.containers[0]?.args.filter(one => /^[a-z-]+\//.test(one)) ?? [], fenced)
      t.strictSame(rendered(manifests, 'vnode-profile-daemonsets'), listed(fenceAccess(fenced)))
      const weightOf = (component: string) => {
        const found = manifests.find(one => nameOf(one) === `Job/vnode-profile-${component}`)
        return Number(found?.metadata.annotations?.['helm.sh/hook-weight'] ?? 'NaN')
      }
      if (job !== undefined) t.ok(weightOf('daemonsets') < weightOf('bootstrap'))
    })
  }

  t.test('off, there is nothing of it', async t => {
    const text = await helm.text({ values: { bootstrap: { ...bootstrap, enabled: false } } })
    t.notMatch(text, /bootstrap/)
  })

  const REFUSED = new Map<string, [values: object, message: RegExp]>([
    [
      'no network',
      [
        { bootstrap: { enabled: true } },
        /bootstrap\.regionId: .*\n[\s\S]*bootstrap\.securityGroupId: .*\n[\s\S]*bootstrap\.vSwitchIds: /,
      ],
    ],
    [
      'no AccessKey',
      [
        { approver, bootstrap: { ...bootstrap, credentials: {} } },
        /secretName: name the Secret.*kubectl -n vnode-system create secret/,
      ],
    ],
    [
      'nobody who approves',
      [{ bootstrap }, /approver\.enabled: a VNode with .* waits for somebody to approve/],
    ],
    [
      'no kubeconfig',
      [
        { bootstrap: { ...bootstrap, identity: { kind: 'kubeconfig' } } },
        /kubeconfigSecret: name the Secret/,
      ],
    ],
    [
      'half of RRSA',
      [
        {
          approver,
          bootstrap: {
            ...bootstrap,
            credentials: { source: 'rrsa', rrsa: { roleArn: 'acs:ram::1:role/x' } },
          },
        },
        /source rrsa needs roleArn and oidcProviderArn/,
      ],
    ],
    [
      'a vSwitch that is none',
      [{ approver, bootstrap: { ...bootstrap, vSwitchIds: ['sg-1'] } }, /vSwitchIds\/0/],
    ],
    [
      'an address that is none',
      [{ approver, bootstrap: { ...bootstrap, apiserver: '192.168.0.10' } }, /'\/bootstrap\/apiserver'/],
    ],
  ])
  for (const [name, [values, message]] of REFUSED) {
    t.test(`refused: ${name}`, async t => {
      const { code, stderr } = await helm.template({ values })
      t.not(code, 0)
      t.match(stderr, message)
    })
  }

  t.test('refused: an API server whose CA is nowhere to be read', async t => {
    const { stderr } = await helm.template({ values: BOOTSTRAPPED, version: '1.19.16' })
    t.match(stderr, /bootstrap\.enabled: needs Kubernetes 1\.20.*1\.19\.16/)
  })
}
