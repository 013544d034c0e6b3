import t from 'tap'
import { isRefusal } from '../../../src/bootstrap/listing.ts'
import { EciError } from '../../../src/eci/error.ts'

const CASES: readonly [httpStatus: number, apiCode: string, isRefused: boolean][] = [
  [400, 'InvalidParameter.ZoneId', true],
  [404, 'InvalidSecurityGroupId.NotFound', true],
  [403, 'QuotaExceeded', true],
  [400, 'InvalidTimeStamp.Expired', false],
  [400, 'SignatureDoesNotMatch', false],
  [404, 'InvalidAccessKeyId.NotFound', false],
  [403, 'Forbidden.RAM', false],
  [400, 'IdempotentParameterMismatch', false],
  [400, 'Throttling.User', false],
  [500, 'InternalError', false],
  [0, '', false],
]

t.test('a refusal speaks of the request, and not of who sends it or when', async t => {
  for (const [httpStatus, apiCode, isRefused] of CASES) {
    const details = { action: 'CreateVirtualNode', product: 'eci', reason: 'no', attempts: 1 }
    t.equal(isRefusal(new EciError({ ...details, httpStatus, apiCode })), isRefused, apiCode)
  }
})
