import { readFile, writeFile } from 'node:fs/promises'
import type { Test } from 'tap'
import { INSTALL_NAMESPACE, RULES_CONFIGMAP, RULES_NAMESPACE } from '../../src/core/names.ts'
import type { ControlPlane } from './control-plane.ts'
import { TcpGate } from './tcp-gate.ts'
import { startTestWebhook, type TestWebhook, type TestWebhookOptions } from './webhook.ts'
import { grantWebhookRights } from './webhook-rights.ts'

export interface GatedWebhook {
  readonly webhook: TestWebhook
  /** Its only way to the apiserver. */
  readonly gate: TcpGate
}

/** A webhook that the test can cut off from the apiserver; nobody else is. */
export async function startGatedWebhook(
  t: Test,
  controlPlane: ControlPlane,
  { isOpen = true, ...options }: TestWebhookOptions & { readonly isOpen?: boolean } = {},
): Promise<GatedWebhook> {
  const gate = await TcpGate.start(t, Number(new URL(controlPlane.url).port))
  if (!isOpen) gate.close()
  const user = `gated-webhook-${gate.port}`
  await grantWebhookRights(controlPlane, {
    user,
    rulesNamespace: options.rulesNamespace ?? RULES_NAMESPACE,
    rulesName: options.rulesName ?? RULES_CONFIGMAP,
    installNamespace: options.settings?.installNamespace ?? INSTALL_NAMESPACE,
  })
  const kubeconfig = await controlPlane.kubeconfig({ user })
  const text = await readFile(kubeconfig, 'utf8')
  await writeFile(kubeconfig, text.replaceAll(controlPlane.url, `https://127.0.0.1:${gate.port}`))
  return { gate, webhook: await startTestWebhook(t, { ...options, controlPlane, kubeconfig }) }
}
