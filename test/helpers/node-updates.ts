import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import type { Test } from 'tap'
import { makeAuthority } from './authority.ts'
import type { ControlPlane } from './control-plane.ts'
import type { KubeObject } from './kube-http.ts'

/** Called before a change of a Node is stored; a text that it gives, or an error, refuses the change. */
export type OnNodeUpdate = (changed: KubeObject, before: KubeObject) => Promise<string | undefined>

interface Review {
  readonly request: {
    readonly uid: string
    readonly dryRun?: boolean
    readonly object: KubeObject
    readonly oldObject: KubeObject
  }
}

/** A way to be there at the moment at which somebody changes a Node, by a webhook of the test's. Heartbeats do not count. */
export async function onNodeUpdates(
  t: Test,
  controlPlane: ControlPlane,
  onUpdate: OnNodeUpdate,
): Promise<void> {
  const authority = await makeAuthority('node-updates')
  const tls = { cert: authority.issueServer(), key: authority.leafKeyPem }
  let isAsked = false
  const server = createServer(tls, async (request, response) => {
    const review = (await json(request).catch(() => undefined)) as Review | undefined
    // The API server has gone, or the test is over.
    if (review === undefined) return
    const { uid, dryRun, object, oldObject } = review.request
    if (dryRun === true) isAsked = true
    const refusal = dryRun === true ? undefined : await onUpdate(object, oldObject).catch(String)
    const answer = { uid, allowed: refusal === undefined, status: { message: refusal ?? '' } }
    response.end(
      JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: answer }),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const path = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations'
  t.teardown(async () => {
    await controlPlane.ask('DELETE', `${path}/node-updates`)
    server.close()
    server.closeAllConnections()
  })
  const caBundle = Buffer.from(authority.certPem).toString('base64')
  await controlPlane.ask('POST', path, {
    body: {
      metadata: { name: 'node-updates' },
      webhooks: [
        {
          name: 'node-updates.test.example.com',
          admissionReviewVersions: ['v1'],
          sideEffects: 'NoneOnDryRun',
          clientConfig: { url, caBundle },
          rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['nodes'] }],
        },
      ],
    },
  })
  await controlPlane.ask('POST', '/api/v1/nodes', { body: { metadata: { name: 'probe' } } })
  // The API server takes a moment to know it.
  while (!isAsked) {
    const body = { metadata: { annotations: { probed: 'true' } } }
    const contentType = 'application/merge-patch+json'
    await controlPlane.ask('PATCH', '/api/v1/nodes/probe?dryRun=All', { body, contentType })
  }
  await controlPlane.ask('DELETE', '/api/v1/nodes/probe')
}
