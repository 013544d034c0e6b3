/** The rights that the chart gives are the list in src/core/rbac.ts, no more and no less, each beside its reason. */
import t from 'tap'
import { approverAccess } from '../../src/core/csr/access.ts'
import { fenceAccess } from '../../src/core/daemonset/rights.ts'
import {
  helperAccess,
  helperNames,
  probeProgramAccess,
  rulesInitAccess,
  unregisterAccess,
  webhookAccess,
} from '../../src/core/rbac.ts'
import { BOOTSTRAPPED, helmOrSkip, VARIANTS } from '../helpers/chart.ts'
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
        bootstrap,
        certificates,
        helper: helperValues,
      } = (options.values ?? {}) as {
        legacy?: boolean
        approver?: object
        rules?: { namespace: string; name: string; create?: boolean }
        daemonSets?: { fence: string[] }
        bootstrap?: object
        certificates?: { source: 'cert-manager' }
        helper?: { spill?: { enabled?: boolean; unguarded?: boolean } }
      }
      const { spill } = helperValues ?? {}
      const { namespace: rulesNamespace = 'kube-system', name: rulesName = 'eci-profile' } = rules ?? {}
      const name = release === 'vnode-profile' ? release : `${release}-vnode-profile`
      const names = helperNames(name)
      const place = { installNamespace, rulesNamespace, rulesName, name }
      const webhook = webhookAccess(legacy ? place : { ...place, certSecret: names.secret, isReadOnly: true })
      const certSource = certificates?.source ?? 'helper'
      const minor = Number(options.version?.split('.')[1] ?? '34')
      const hasSlices = minor >= 18
      const spills = spill?.enabled !== false && (minor >= 30 || spill?.unguarded === true)
      const helper = helperAccess({ ...place, owner: names.owner, certSource, hasSlices, spills })
      const makesRules = rules?.create !== false
      t.strictSame(rendered(manifests, `${name}-webhook`), listed(webhook))
      t.strictSame(
        rendered(manifests, `${name}-rules`),
        makesRules ? listed(rulesInitAccess(rulesNamespace)) : [],
      )
      const fenced = daemonSets?.fence ?? (bootstrap === undefined ? [] : ['kube-system/kube-proxy'])
      t.strictSame(rendered(manifests, `${name}-daemonsets`), listed(fenceAccess(fenced)))
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
      t.strictSame(
        rendered(manifests, `${name}-uninstall`),
        listed(unregisterAccess(names.registration, names.owner)),
      )
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

  t.test('what may be written without a name is what the README says', async t => {
    const values = {
      approver: { enabled: true },
      daemonSets: { fence: ['kube-system/kube-proxy'] },
      bootstrap: { ...BOOTSTRAPPED.bootstrap, deleteOnUninstall: true },
    }
    const manifests = await helm.render({ values })
    const always = ['webhook', 'helper', 'approver', 'test']
    const jobs = ['rules', 'daemonsets', 'bootstrap', 'removal', 'uninstall']
    const unnamed = (components: readonly string[]) =>
      unique(
        components
          .flatMap(component => rendered(manifests, `vnode-profile-${component}`))
          .filter(line => !/: (?:get|list|watch) /.test(line) && line.endsWith(' *')),
      )
    t.strictSame(unnamed(always), [
      '(cluster): create /events *',
      '(cluster): create authorization.k8s.io/subjectaccessreviews *',
      '(cluster): patch /events *',
      '(cluster): patch /pods *',
      '(cluster): patch certificates.k8s.io/certificatesigningrequests/approval *',
      'default: create /events *',
      'default: patch /events *',
    ])
    t.strictSame(unnamed(jobs), [
      '(cluster): create /pods/eviction *',
      '(cluster): delete /nodes *',
      '(cluster): patch /nodes *',
      'kube-system: create /configmaps *',
      'vnode-system: create /events *',
      'vnode-system: patch /events *',
    ])
    t.strictSame(
      unique([...always, ...jobs].map(component => `vnode-profile-${component}`)),
      unique(manifests.filter(({ kind }) => kind === 'ServiceAccount').map(({ metadata }) => metadata.name)),
      'there are no others',
    )
  })
}
