/** What the webhook says and does when a right is missing that the documentation gives it. */
import t, { type Test } from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { makePod } from '../helpers/pods.ts'
import { isSent, podReview, sendReview } from '../helpers/reviews.ts'
import { installSelectorCrd, setRules } from '../helpers/rules.ts'
import { holds, startTestWebhook } from '../helpers/webhook.ts'
import { grantWebhookRights } from '../helpers/webhook-rights.ts'

interface Role extends KubeObject {
  rules: { resources: string[]; verbs: string[] }[]
}

interface Case {
  /** Role, resource and verbs that are taken away. */
  readonly role: 'cluster' | 'rules' | 'last-good'
  readonly resource: string
  readonly verbs: readonly string[]
  /** The watch that cannot begin without, as readiness names it; absent where the webhook is ready all the same. */
  readonly missing?: string
  /** A line of the log for what is ready all the same. */
  readonly logged?: string
}

const READ = ['get', 'list', 'watch']
const WRITE = ['create', 'patch']

const CASES: Readonly<Record<string, Case>> = {
  'to list nodes': { role: 'cluster', resource: 'nodes', verbs: ['list'], missing: 'nodes' },
  'to read namespaces': { role: 'cluster', resource: 'namespaces', verbs: READ, missing: 'namespaces' },
  'to read Selectors': { role: 'cluster', resource: 'selectors', verbs: READ, missing: 'selectors' },
  'to read the rules': { role: 'rules', resource: 'configmaps', verbs: READ, missing: 'configmaps' },
  'to read the last good rules': {
    role: 'last-good',
    resource: 'configmaps',
    verbs: READ,
    missing: 'last-good',
  },
  'to write the last good rules': {
    role: 'last-good',
    resource: 'configmaps',
    verbs: WRITE,
    logged: 'the last good rules could not be kept; trying again',
  },
  'to write Events': { role: 'cluster', resource: 'events', verbs: WRITE, logged: 'an Event was lost' },
}

const RBAC = '/apis/rbac.authorization.k8s.io/v1'
const RULES = [{ name: 'good', objectSelector: { matchLabels: { app: 'web' } } }]
const review = podReview(makePod({ labels: { app: 'web' } }))

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  await installSelectorCrd(t, controlPlane)
  const timings = { maxBackoffMs: 300, stableMs: 300 }

  /** A webhook whose identity has the documented rights, of which the test takes some away and gives them back. */
  const prepare = async (t: Test, user: string) => {
    const namespace = await controlPlane.namespace(t)
    const place = { user, rulesNamespace: namespace, rulesName: 'rules', installNamespace: namespace }
    const grant = () => grantWebhookRights(controlPlane, place)
    await grant()
    const forbid = async ({ role, resource, verbs }: Case): Promise<void> => {
      const path =
        role === 'cluster'
          ? `${RBAC}/clusterroles/${user}-cluster`
          : `${RBAC}/namespaces/${namespace}/roles/${user}-${role}`
      const found = await controlPlane.ask<Role>('GET', path)
      const rules = found.rules.flatMap(rule => {
        if (!rule.resources.includes(resource)) return [rule]
        const others = rule.resources.filter(name => name !== resource)
        const left = rule.verbs.filter(verb => !verbs.includes(verb))
        return [
          ...(others.length > 0 ? [{ ...rule, resources: others }] : []),
          ...(left.length > 0 ? [{ ...rule, resources: [resource], verbs: left }] : []),
        ]
      })
      await controlPlane.ask('PUT', path, { body: { ...found, rules } })
    }
    const start = async () =>
      startTestWebhook(t, {
        controlPlane,
        kubeconfig: await controlPlane.kubeconfig({ user }),
        rulesNamespace: namespace,
        rulesName: 'rules',
        settings: { installNamespace: namespace },
        timings,
      })
    const set = (rules: string | readonly object[]) =>
      setRules(controlPlane, rules, { namespace, name: 'rules' })
    return { grant, forbid, start, set }
  }

  for (const [index, [right, lacking]] of Object.entries(CASES).entries()) {
    const { missing, logged, resource } = lacking
    const outcome =
      missing === undefined ? 'works and tells' : 'is not ready, says why, and becomes it by itself'
    t.test(`without the right ${right} the webhook ${outcome}`, async t => {
      const { grant, forbid, start, set } = await prepare(t, `lacking-${index}`)
      await forbid(lacking)
      await set(RULES)
      const webhook = await start()
      if (missing !== undefined) {
        let [status, lines] = [0, ['']]
        // Once all others are loaded, only this one is told.
        const isAlone = async () => {
          const response = await fetch(`${webhook.opsUrl}/readyz`)
          const text = await response.text()
          status = response.status
          lines = text.split('\n').filter(line => line.startsWith('[not ready] '))
          return lines.length === 1 && text.includes('403')
        }
        await holds(isAlone, 10_000)
        t.equal(status, 503)
        const said = `${missing}: ${missing} are not loaded yet \\(.*: 403 .*cannot list resource "${resource}"`
        t.match(lines, [new RegExp(said)])
        await webhook.logged('watching had a fault; what is loaded stays in force', { resource: missing })
        t.match(await sendReview(webhook, '/mutate/pods', review), { allowed: true })
        await grant()
      }
      await webhook.ready()
      await webhook.inForce('good')
      t.equal(isSent(await sendReview(webhook, '/mutate/pods', review)), true)
      if (logged !== undefined) {
        await set('[{')
        const line = await webhook.logged(logged)
        t.match(line.error, /403/)
        await webhook.until('refused', state => !state.summary().isNewest)
        t.equal(isSent(await sendReview(webhook, '/mutate/pods', review)), true)
        t.equal((await fetch(`${webhook.opsUrl}/readyz`)).status, 200)
      }
    })
  }

  t.test(
    "nobody else's rights are needed: with the documented ones there is not one line of fault",
    async t => {
      const { start, set } = await prepare(t, 'documented')
      await set(RULES)
      const webhook = await start()
      await webhook.ready()
      await webhook.inForce('good')
      t.same(
        webhook.log.filter(({ level }) => level === 'warn' || level === 'error'),
        [],
      )
    },
  )
}
