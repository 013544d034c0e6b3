/**
 * Alibaba Cloud's endpoint as the product sees it: ECI, and of VPC and ECS what is asked of them. HTTPS with an authority of its own;
 * requests are checked as there, and recorded. A VNode that is created joins the cluster whose kubeconfig was sent, so that only
 * Alibaba's side of the chain is played.
 */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { makeAuthority } from '../authority.ts'
import { ClusterJoining, NO_CLUSTER } from './joining.ts'
import { Refusal } from './refusal.ts'
import { type Account, SignatureCheck } from './signature.ts'
import { type FakeVirtualNode, World, type WorldOptions } from './world.ts'

export interface FakeEciOptions extends Partial<WorldOptions> {
  readonly accounts?: readonly Account[]
  /** False: VNodes are Ready at once and join nothing. */
  readonly joins?: boolean
  /** As `kubectl get nodes` shows it. */
  readonly kubeletVersion?: string
  /** Where an address of the VPC leads to: `https://192.168.0.10:6443` to the URL of a test's control plane. */
  readonly routes?: Readonly<Record<string, string>>
  /** Address to listen on, `127.0.0.1` unless said otherwise; its certificate has it. */
  readonly host?: string
  readonly port?: number
  /** Further names and addresses of the certificate. */
  readonly names?: readonly string[]
  /** Called after each call. */
  readonly onCall?: (call: RecordedCall) => void
}

/** What a test reads of a call, in the order of arrival; refused ones are among them. */
export interface RecordedCall {
  readonly action: string
  readonly version: string
  /** As in the request line: parameters belong into the body. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly parameters: ReadonlyMap<string, string>
  readonly body: string
  /** Undefined while there is no answer, or where the connection was cut in place of one. */
  status?: number
  /** Of a refusal. */
  code?: string
  requestId: string
  /** Did the call take effect? */
  isExecuted: boolean
}

/** What happens to a call in place of the usual. `executed` says whether it takes effect all the same. */
export type Fault =
  | {
      readonly kind: 'refuse'
      readonly status: number
      readonly code: string
      readonly message?: string
      readonly executed?: boolean
    }
  /** A gateway's page. */
  | { readonly kind: 'html'; readonly status: number; readonly executed?: boolean }
  /** The connection ends without an answer. */
  | { readonly kind: 'cut'; readonly executed?: boolean }
  /** No answer, and the connection stays. */
  | { readonly kind: 'silence'; readonly executed?: boolean }
  /** The usual, after this has been waited for: for whatever must happen while a call is under way. */
  | { readonly kind: 'after'; readonly wait: (call: RecordedCall) => Promise<unknown> }

interface PlannedFault {
  readonly action: string
  readonly fault: Fault
  left: number
}

export const TEST_ACCOUNT: Account = {
  accessKeyId: 'LTAI5tTestTestTestTest00',
  accessKeySecret: 'TestSecretOfTheFakeAccount0000',
}

const TEST_ACCOUNT_ID = '1234567890123456'

export const TEST_NETWORK = {
  vSwitches: [
    { vSwitchId: 'vsw-7xv2yk45qp5etidgf0001', vpcId: 'vpc-7xv0000000000000test1' },
    { vSwitchId: 'vsw-7xv2yk45qp5etidgf0002', vpcId: 'vpc-7xv0000000000000test1' },
    { vSwitchId: 'vsw-7xvotherotherother0001', vpcId: 'vpc-7xv0000000000000test2' },
  ],
  securityGroups: [
    { securityGroupId: 'sg-7xv5tcch4kjdr65t0001', vpcId: 'vpc-7xv0000000000000test1' },
    { securityGroupId: 'sg-7xvotherotherother001', vpcId: 'vpc-7xv0000000000000test2' },
  ],
}

const LOOPBACK = '127.0.0.1'

/** A fake for one test file, ended with it. */
export async function fakeEci(t: Test, options: FakeEciOptions = {}): Promise<FakeEci> {
  const fake = await startFakeEci(options)
  t.teardown(() => fake.stop())
  return fake
}

export async function startFakeEci(options: FakeEciOptions = {}): Promise<FakeEci> {
  const authority = await makeAuthority('fake-eci')
  const { names = [], host = LOOPBACK, port = 0 } = options
  const tls = { cert: authority.issueServer([...names, host]), key: authority.leafKeyPem }
  const fake = new FakeEci(options, authority.certPem, tls)
  await fake.listen(port, host)
  return fake
}

export class FakeEci {
  readonly caPem: string
  /** {@link caPem} as a file, until the fake stops. */
  readonly caFile: string
  readonly calls: RecordedCall[] = []
  readonly world: World
  readonly signatures: SignatureCheck
  readonly #server: Server
  readonly #joining: ClusterJoining | typeof NO_CLUSTER
  readonly #folder: string
  readonly #faults: PlannedFault[] = []
  readonly #waiting = new Set<() => void>()
  readonly #onCall: (call: RecordedCall) => void

  constructor(options: FakeEciOptions, caPem: string, tls: { cert: string; key: string }) {
    const regionId = options.regionId ?? 'cn-hangzhou'
    const kubeletVersion = options.kubeletVersion ?? 'v1.20.6'
    this.#onCall = options.onCall ?? (() => undefined)
    const routes = new Map(Object.entries(options.routes ?? {}))
    this.caPem = caPem
    this.#folder = mkdtempSync(join(tmpdir(), 'fake-eci-'))
    this.caFile = join(this.#folder, 'ca.crt')
    writeFileSync(this.caFile, caPem)
    this.#joining =
      options.joins === false ? NO_CLUSTER : new ClusterJoining({ regionId, kubeletVersion, routes })
    const defaults = { regionId, ...TEST_NETWORK, maxCpu: 1000, usedCpu: 0, ids: [] }
    this.world = new World({ ...defaults, ...options }, this.#joining)
    this.signatures = new SignatureCheck(options.accounts ?? [TEST_ACCOUNT])
    this.#server = createServer(tls, (request, response) => void this.#serve(request, response))
  }

  /** `https://127.0.0.1:<port>`, or of the address it listens on: of the setting that replaces the public endpoints. */
  get url(): string {
    const { address, port } = this.#server.address() as AddressInfo
    return `https://${address === '0.0.0.0' ? LOOPBACK : address}:${port}`
  }

  async listen(port: number, host: string): Promise<void> {
    this.#server.listen(port, host)
    await once(this.#server, 'listening')
  }

  /** VNodes that exist and are paid for. */
  get virtualNodes(): readonly FakeVirtualNode[] {
    return this.world.living
  }

  callsOf(action: string): RecordedCall[] {
    return this.calls.filter(call => call.action === action)
  }

  /** The next calls of this action, or of any (`*`), meet the fault, as often as said. Earlier plans come first. */
  plan(action: string, fault: Fault, times = 1): void {
    this.#faults.push({ action, fault, left: times })
  }

  /** Once there have been calls as wanted: it is asked again after each. */
  async until(areWanted: (calls: readonly RecordedCall[]) => boolean): Promise<void> {
    while (!areWanted(this.calls)) await new Promise<void>(resolve => this.#waiting.add(resolve))
  }

  async stop(): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await this.#joining.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      let body = ''
      for await (const chunk of request.setEncoding('utf8')) body += chunk
      const call = record(request, body)
      this.calls.push(call)
      await this.#answer(call, request, response)
      this.#onCall(call)
    } catch {
      // The caller has gone, or the fake is being stopped.
      request.destroy()
    } finally {
      for (const wake of this.#waiting) wake()
      this.#waiting.clear()
    }
  }

  async #answer(call: RecordedCall, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const fault = this.#takeFault(call.action)
    if (fault?.kind === 'after') await fault.wait(call)
    if (fault === undefined || fault.kind === 'after' || fault.executed === true) {
      const [status, answer] = await this.#execute(call, request)
      if (fault === undefined || fault.kind === 'after') return send(call, response, status, answer)
    }
    if (fault.kind === 'silence') return
    if (fault.kind === 'cut') {
      request.socket.destroy()
      return
    }
    if (fault.kind === 'refuse') {
      const { status, code, message = 'as planned by the test' } = fault
      call.code = code
      return send(call, response, status, refusalBody(new Refusal(status, code, message), call.requestId))
    }
    call.status = fault.status
    response.writeHead(fault.status, { 'content-type': 'text/html' })
    response.end(
      `<html><head><title>${fault.status} Bad Gateway</title></head><body><h1>tengine</h1></body></html>`,
    )
  }

  #takeFault(action: string): Fault | undefined {
    const planned = this.#faults.find(one => one.left > 0 && (one.action === action || one.action === '*'))
    if (planned !== undefined) planned.left -= 1
    return planned?.fault
  }

  async #execute(call: RecordedCall, request: IncomingMessage): Promise<[number, object]> {
    try {
      const { method = '', url = '', headers } = request
      const account = this.signatures.check({ method, url, headers, body: call.body })
      // Whoever has a key may ask whose it is.
      if (call.action === 'GetCallerIdentity') {
        call.isExecuted = true
        return [200, { RequestId: call.requestId, AccountId: account.accountId ?? TEST_ACCOUNT_ID }]
      }
      const permission = `${productOf(call.version)}:${call.action}`
      if (account.allowed !== undefined && !account.allowed.includes(permission)) {
        const message = `User not authorized to operate on the specified resource, or this API does not support RAM. (${permission})`
        throw new Refusal(403, 'Forbidden.RAM', message)
      }
      const answer = await this.world.call(call.action, call.parameters)
      call.isExecuted = true
      return [200, { RequestId: call.requestId, ...answer }]
    } catch (error) {
      const refusal =
        error instanceof Refusal ? error : new Refusal(500, 'InternalError', `the fake is broken: ${error}`)
      call.code = refusal.code
      return [refusal.status, refusalBody(refusal, call.requestId)]
    }
  }
}

function productOf(version: string): string {
  return { '2018-08-08': 'eci', '2016-04-28': 'vpc', '2014-05-26': 'ecs' }[version] ?? 'unknown'
}

function record({ url = '', headers }: IncomingMessage, body: string): RecordedCall {
  const parameters = new Map([...new URLSearchParams(url.split('?')[1] ?? ''), ...new URLSearchParams(body)])
  return {
    action: String(headers['x-acs-action'] ?? ''),
    version: String(headers['x-acs-version'] ?? ''),
    url,
    headers,
    parameters,
    body,
    requestId: randomUUID().toUpperCase(),
    isExecuted: false,
  }
}

function refusalBody({ code, message }: Refusal, requestId: string): object {
  const Recommend = `https://api.aliyun.com/troubleshoot?q=${code}&product=Eci`
  return { RequestId: requestId, HostId: 'eci.aliyuncs.com', Code: code, Message: message, Recommend }
}

function send(call: RecordedCall, response: ServerResponse, status: number, answer: object): void {
  call.status = status
  response.writeHead(status, { 'content-type': 'application/json;charset=utf-8' })
  response.end(JSON.stringify(answer))
}
