/** The rights that the chart gives are the list in src/core/rbac.ts, no more and no less, each beside its reason. */
import t from 'tap'
import { approverAccess } from '../../src/core/csr/access.ts'
import { fenceAccess } from '../../src/core/daemonset/rights.ts'
import { helperAccess, helperNames, probeProgramAccess, webhookAccess } from '../../src/core/rbac.ts'
import { helmOrSkip, VARIANTS } from '../helpers/chart.ts'
import { listed, rendered, unique } from '../helpers/chart-rights.ts'

const helm = helmOrSkip(t)

if (helm !== undefined) {
  for (const [variant, options] of VARIANTS) {
    t.test(variant, async t => {
      const manifests = await helm.render(options)
      const { namespace: installNamespace = 'vnode-system', release = 'vnode-profile' } = options
      const {
        legacy,
        approver,
        rules,
        daemonSets,
        certificates,
        helper: helperValues,
      } = (options.values ?? {}) as {
        legacy?: boolean
        approver?: object
        rules?: { namespace: string; name: string }
        daemonSets?: { fence: string[] }
        certificates?: { source: 'cert-manager' }
        helper?: { spill?: { enabled?: boolean; unguarded?: boolean } }
      }
      const { spill } = helperValues ?? {}
      const { namespace: rulesNamespace = 'kube-system', name: rulesName = 'eci-profile' } = rules ?? {}
      const name = release === 'vnode-profile' ? release : `${release}-vnode-profile`
      const names = helperNames(name)
      const place = { installNamespace, rulesNamespace, rulesName }
      const webhook = webhookAccess(legacy ? place : { ...place, certSecret: names.secret, isReadOnly: true })
      const certSource = certificates?.source ?? 'helper'
      const minor = Number(options.version?.split('.')[1] ?? '34')
      const hasSlices = minor >= 18
      const spills = spill?.enabled !== false && (minor >= 30 || spill?.unguarded === true)
      const helper = helperAccess({ ...place, name, owner: names.owner, certSource, hasSlices, spills })
      const hooks = rulesNamespace === 'rules' ? [] : [`${rulesNamespace}: create /configmaps *`]
      t.strictSame(rendered(manifests, `${name}-webhook`), listed(webhook))
      t.strictSame(rendered(manifests, `${name}-rules`), hooks)
      t.strictSame(rendered(manifests, `${name}-daemonsets`), listed(fenceAccess(daemonSets?.fence ?? [])))
      t.strictSame(
        rendered(manifests, `${name}-approver`),
        approver === undefined ? [] : listed(approverAccess()),
      )
      if (legacy) return
      t.strictSame(rendered(manifests, `${name}-helper`), listed(helper))
      t.strictSame(
        rendered(manifests, `${name}-test`),
        listed(probeProgramAccess(installNamespace, names.probe)),
      )
      t.strictSame(rendered(manifests, `${name}-uninstall`), [
        `(cluster): delete admissionregistration.k8s.io/mutatingwebhookconfigurations ${name}`,
        `(cluster): delete admissionregistration.k8s.io/validatingwebhookconfigurations ${name}`,
        `(cluster): delete rbac.authorization.k8s.io/clusterroles ${names.owner}`,
      ])
    })
  }

  t.test('nobody else is given anything, and every binding names an account of the release', async t => {
    const manifests = await helm.render({ values: { approver: { enabled: true } } })
    const accounts = manifests
      .filter(({ kind }) => kind === 'ServiceAccount')
      .map(({ metadata }) => metadata.name)
    const subjects = manifests.flatMap(
      ({ subjects }) => (subjects ?? []) as { kind: string; name: string; namespace: string }[],
    )
    t.ok(subjects.every(({ kind, namespace }) => kind === 'ServiceAccount' && namespace === 'vnode-system'))
    t.strictSame(unique(subjects.map(({ name }) => name)), unique(accounts))
  })

  t.test(
    'nothing may be written that is not named, but for Events, approvals and, for a moment, the rules',
    async t => {
      const values = { approver: { enabled: true }, daemonSets: { fence: ['kube-system/kube-proxy'] } }
      const manifests = await helm.render({ values })
      const lines = ['webhook', 'helper', 'approver', 'test', 'uninstall', 'rules', 'daemonsets'].flatMap(
        component => rendered(manifests, `vnode-profile-${component}`),
      )
      t.strictSame(unique(lines.filter(line => !/: (?:get|list|watch) /.test(line) && line.endsWith(' *'))), [
        '(cluster): create /events *',
        '(cluster): create authorization.k8s.io/subjectaccessreviews *',
        '(cluster): patch /events *',
        '(cluster): patch /pods *',
        '(cluster): patch certificates.k8s.io/certificatesigningrequests/approval *',
        'default: create /events *',
        'default: patch /events *',
        'kube-system: create /configmaps *',
      ])
    },
  )
}
