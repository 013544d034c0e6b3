import t from 'tap'
import { claimFault, claimState, isBoundLate } from '../../../../src/core/spill/claim.ts'

const claim = (phase: string, storageClassName?: string, metadata: object = {}) =>
  claimState({ metadata, spec: { storageClassName }, status: { phase } })
const missing = { code: 'claim-missing' }
const unbound = { code: 'claim-unbound', reason: /^PersistentVolumeClaim data is not bound/ }

const lost = { code: 'claim-unbound', reason: 'PersistentVolumeClaim data has lost its volume' }

const cases: Readonly<Record<string, readonly [ReturnType<typeof claim> | undefined, object | undefined]>> = {
  'not there': [undefined, missing],
  bound: [claim('Bound', 'immediate'), undefined],
  'bound, and being deleted': [
    claim('Bound', 'late', { deletionTimestamp: '2026-05-06T07:08:09Z' }),
    missing,
  ],
  'bound only once its Pod has a node': [claim('Pending', 'late'), undefined],
  'waits for its volume': [claim('Pending', 'immediate'), unbound],
  'has no class': [claim('Pending'), unbound],
  'has lost its volume': [claim('Lost', 'immediate'), lost],
  'has lost its volume, of a class that binds late': [claim('Lost', 'late'), lost],
  'is none': [claimState(7), unbound],
}
for (const [name, [state, fault]] of Object.entries(cases)) {
  t.test(`a claim that is ${name}`, async t => {
    const found = claimFault('data', state, storageClass => storageClass === 'late')
    if (fault === undefined) t.equal(found, undefined)
    else t.match(found, fault)
  })
}

t.test('a StorageClass binds late if it says so', async t => {
  t.ok(isBoundLate({ volumeBindingMode: 'WaitForFirstConsumer' }))
  t.notOk(isBoundLate({ volumeBindingMode: 'Immediate' }))
  t.notOk(isBoundLate(undefined))
})
