/** What the release and its namespace are called: each object is one of its own, and has the rights that it needs, wherever it is. */
import t, { type Test } from 'tap'
import type { AccessRule } from '../../src/core/rbac.ts'
import { bootstrapAccess, removalAccess } from '../../src/core/vnode/bootstrap-access.ts'
import {
  BOOTSTRAPPED,
  type Helm,
  helmOrSkip,
  type Manifest,
  manifestsOf,
  VARIANTS,
} from '../helpers/chart.ts'
import { type ControlPlane, controlPlaneOrSkip } from '../helpers/control-plane.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { ensureNamespace } from '../helpers/webhook-rights.ts'

const helm = helmOrSkip(t)
const REVIEWS = '/apis/authorization.k8s.io/v1/subjectaccessreviews'

function identityOf({ kind, metadata: { namespace, name } }: Manifest): string {
  return `${kind} ${namespace ?? ''}/${name}`
}

interface Parts {
  readonly helm: Helm
  readonly controlPlane: ControlPlane
}

/** The rights that an account does not have, of those that it needs. */
async function lacking(
  controlPlane: ControlPlane,
  user: string,
  access: readonly AccessRule[],
): Promise<string[]> {
  const asked = access.flatMap(({ namespace, apiGroup: group, resources, resourceNames = [''], verbs }) =>
    resources.flatMap(path =>
      resourceNames.flatMap(name =>
        verbs.map(verb => {
          const [resource, subresource] = path.split('/')
          return { namespace, group, resource, subresource, name, verb }
        }),
      ),
    ),
  )
  const answers = await Promise.all(
    asked.map(async resourceAttributes => {
      const body = { spec: { user, resourceAttributes } }
      const { status } = await controlPlane.ask<KubeObject>('POST', REVIEWS, { body })
      return status?.allowed === true ? [] : [JSON.stringify(resourceAttributes)]
    }),
  )
  return answers.flat()
}

async function checkBootstrap(t: Test, { helm, controlPlane }: Parts, namespace: string): Promise<void> {
  const values = { ...BOOTSTRAPPED, bootstrap: { ...BOOTSTRAPPED.bootstrap, deleteOnUninstall: true } }
  const manifests = await helm.render({ values, namespace, version: controlPlane.version })
  const roles = manifests.filter(({ kind }) => /^(?:Cluster)?Role(?:Binding)?$/.test(kind))
  // One after the other, as Helm makes the objects of a hook.
  const input = roles.map(role => JSON.stringify(role)).join('\n---\n')
  const { code, stderr } = await controlPlane.kubectl(['apply', '-f', '-'], { input })
  t.equal(code, 0, stderr)
  t.teardown(() => controlPlane.kubectl(['delete', '-f', '-'], { input }))
  const secrets = [BOOTSTRAPPED.bootstrap.credentials.secretName]
  const place = {
    installNamespace: namespace,
    prefix: 'vnode-profile',
    virtualNodeName: 'vnode-profile',
    identity: 'tls-bootstrap',
    secrets,
  } as const
  const account = (name: string) => `system:serviceaccount:${namespace}:vnode-profile-${name}`
  t.strictSame(await lacking(controlPlane, account('bootstrap'), bootstrapAccess(place)), [])
  t.strictSame(await lacking(controlPlane, account('removal'), removalAccess(place)), [])
}

/** What YAML takes for a number, a truth, nothing or a day, where it is not quoted. */
const WORDS = ['123', '1e3', '0x10', '1234', 'true', 'null', 'on', '2024-01-01']

/** Everything that can be called so is. */
async function checkWord(t: Test, { helm, controlPlane }: Parts, word: string): Promise<void> {
  const values = {
    ...BOOTSTRAPPED,
    fullnameOverride: /^[a-z]/.test(word) ? word : 'eci',
    rules: { namespace: word, name: word },
    daemonSets: { fence: [`${word}/${word}`] },
    helper: { priorityClassName: word },
    bootstrap: {
      ...BOOTSTRAPPED.bootstrap,
      credentials: { source: 'secret', secretName: word },
      tags: { team: 'a: b', note: 'c #d' },
      deleteOnUninstall: true,
    },
  }
  await ensureNamespace(controlPlane, word)
  // As it is: to read and write it here would quote it.
  const input = await helm.text({ release: word, namespace: word, version: controlPlane.version, values })
  const flags = ['--server-side', '--dry-run=server', '--validate=strict', '-o', 'name', '-f', '-']
  const { code, stdout, stderr } = await controlPlane.kubectl(['apply', ...flags], { input })
  t.equal(code, 0, stderr)
  t.equal(stdout.trim().split('\n').length, manifestsOf(input).length)
}

if (helm !== undefined) {
  for (const release of ['123', '1e3', 'a.b'])
    t.test(`release ${release}, whose Service the API server would refuse, is refused`, async t => {
      const { code, stderr } = await helm.template({ release })
      t.equal(code, 1)
      t.match(stderr, `fullnameOverride: a release called ${release} would name its objects ${release}-vnode`)
      t.match(await helm.template({ release, values: { fullnameOverride: 'eci' } }), { code: 0 })
    })

  t.test('no two objects are the same one', async t => {
    for (const [variant, options] of VARIANTS) {
      const all = (await helm.render(options)).map(identityOf)
      t.strictSame(
        all.filter((one, index) => all.indexOf(one) !== index),
        [],
        variant,
      )
    }
  })

  const controlPlane = await controlPlaneOrSkip(t)
  if (controlPlane !== undefined) {
    for (const word of WORDS)
      t.test(`release, namespaces and names that are ${word}`, t =>
        checkWord(t, { helm, controlPlane }, word),
      )
    for (const namespace of ['kube-system', 'default', 'kube-public'])
      t.test(`a VNode can be registered and removed by a release in ${namespace}`, t =>
        checkBootstrap(t, { helm, controlPlane }, namespace),
      )
  }
}
