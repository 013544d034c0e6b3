import t from 'tap'
import {
  MOST_SKEW_MS,
  nextStep,
  type Recorded,
  type SeenVirtualNode,
  VISIBLE_WITHIN_MS,
  type Wish,
} from '../../../../src/core/vnode/registration.ts'
import { virtualNodeNameProblem } from '../../../../src/core/vnode/virtual-node-name.ts'

const NOW = 1_000_000_000
const WISH: Wish = {
  name: 'edge',
  regionId: 'cn-hangzhou',
  fingerprint: 'f1',
  isAdditional: false,
  caller: { account: '1', endpoint: '' },
}

const seen = (overrides: Partial<SeenVirtualNode> = {}): SeenVirtualNode => ({
  virtualNodeId: 'vnd-1',
  virtualNodeName: 'edge',
  status: 'Ready',
  creationTime: '2026-01-01T00:00:00Z',
  ...overrides,
})

const recorded = (overrides: Partial<Recorded> = {}): Recorded => ({
  intent: { fingerprint: 'f1' },
  isSent: false,
  virtualNodeId: undefined,
  recordedAt: undefined,
  regionId: 'cn-hangzhou',
  name: 'edge',
  ...overrides,
})

const SENT = { isSent: true }
const DONE = { isSent: true, virtualNodeId: 'vnd-1', recordedAt: NOW - VISIBLE_WITHIN_MS - MOST_SKEW_MS }

const CASES = new Map<string, [Recorded | undefined, SeenVirtualNode[], Partial<Wish>, expected: object]>([
  ['nothing yet', [undefined, [], {}, { kind: 'intend' }]],
  ['an intent that was not sent', [recorded(), [], {}, { kind: 'prepare' }]],
  ['an intent that was sent', [recorded(SENT), [], {}, { kind: 'send' }]],
  [
    'sent, and other values now: only its answer decides',
    [recorded(SENT), [], { fingerprint: 'f2' }, { kind: 'send' }],
  ],
  [
    'not sent, and other values now',
    [recorded(), [], { fingerprint: 'f2' }, { kind: 'end', reason: /values have changed/ }],
  ],
  [
    'not sent, and another region now',
    [recorded(), [], { regionId: 'cn-beijing', fingerprint: 'f2' }, { kind: 'end' }],
  ],
  [
    'sent, its answer lost, and there',
    [recorded(SENT), [seen()], {}, { kind: 'adopt', virtualNode: seen(), others: [] }],
  ],
  ['nothing written down, and there', [undefined, [seen()], {}, { kind: 'adopt', virtualNode: seen() }]],
  ['written down and there', [recorded(DONE), [seen()], {}, { kind: 'registered', others: [] }]],
  [
    'written down, not ready or failed',
    [recorded(DONE), [seen({ status: 'Failed' })], {}, { kind: 'registered' }],
  ],
  [
    'other values for what is there',
    [recorded(DONE), [seen()], { fingerprint: 'f2' }, { kind: 'registered' }],
  ],
  [
    'deleted behind our back',
    [recorded(DONE), [], {}, { kind: 'end', reason: /vnd-1 is not there any more/ }],
  ],
  [
    'deleted, and still listed',
    [recorded(DONE), [seen({ status: 'Deleted' })], {}, { kind: 'end', reason: /is Deleted/ }],
  ],
  [
    'deleted, and listed as what was cleaned up',
    [recorded(DONE), [seen({ status: 'Cleaned' })], {}, { kind: 'end', reason: /is Cleaned/ }],
  ],
  [
    'deleted before it was written down',
    [recorded(SENT), [seen({ status: 'Deleted' })], {}, { kind: 'send' }],
  ],
  [
    'created a moment ago, and not listed yet',
    [recorded({ ...DONE, recordedAt: NOW - 1000 }), [], {}, { kind: 'wait' }],
  ],
  [
    'created a moment ago, and deleted since',
    [recorded({ ...DONE, recordedAt: NOW - 1000 }), [seen({ status: 'Deleting' })], {}, { kind: 'end' }],
  ],
  [
    'two of our name: the older',
    [
      undefined,
      [seen({ virtualNodeId: 'vnd-2', creationTime: '2026-02-01T00:00:00Z' }), seen()],
      {},
      { kind: 'adopt', virtualNode: { virtualNodeId: 'vnd-1' }, others: [{ virtualNodeId: 'vnd-2' }] },
    ],
  ],
  [
    'two of our name: the one that is written down',
    [
      recorded({ ...DONE, virtualNodeId: 'vnd-2' }),
      [seen(), seen({ virtualNodeId: 'vnd-2', creationTime: '2026-02-01T00:00:00Z' })],
      {},
      { kind: 'registered', virtualNode: { virtualNodeId: 'vnd-2' }, others: [{ virtualNodeId: 'vnd-1' }] },
    ],
  ],
  [
    'another VNode of this cluster',
    [
      undefined,
      [seen({ virtualNodeName: 'other' })],
      {},
      { kind: 'refuse', message: /has a VNode already: vnd-1 \(other\)/ },
    ],
  ],
  [
    'another VNode of this cluster, since an intent was written that was not sent',
    [
      recorded(),
      [seen({ virtualNodeName: 'other' })],
      {},
      { kind: 'refuse', message: /has a VNode already/ },
    ],
  ],
  [
    'another VNode of this cluster, since an intent was sent',
    [recorded(SENT), [seen({ virtualNodeName: 'other' })], {}, { kind: 'send' }],
  ],
  [
    'another VNode of this cluster, and that is fine',
    [undefined, [seen({ virtualNodeName: 'other' })], { isAdditional: true }, { kind: 'intend' }],
  ],
  [
    'another one that is gone',
    [undefined, [seen({ virtualNodeName: 'other', status: 'Deleted' })], {}, { kind: 'intend' }],
  ],
  [
    'another name for what is there',
    [
      recorded(DONE),
      [seen()],
      { name: 'new' },
      { kind: 'refuse', message: /under the name edge/, next: /back to edge/ },
    ],
  ],
  [
    'another name, which the VNode was given meanwhile',
    [
      recorded(DONE),
      [seen({ virtualNodeName: 'shop' })],
      { name: 'shop' },
      { kind: 'registered', virtualNode: { virtualNodeId: 'vnd-1' }, others: [] },
    ],
  ],
  [
    'its old name, after it was given another one',
    [recorded(DONE), [seen({ virtualNodeName: 'shop' })], {}, { kind: 'registered' }],
  ],
  [
    'another name for what may be there, and is',
    [
      recorded(SENT),
      [seen()],
      { name: 'new', isAdditional: true },
      { kind: 'refuse', message: /vnd-1 under the name edge/, next: /back to edge/ },
    ],
  ],
  [
    'another name for what may be there, and is not listed',
    [recorded(SENT), [seen({ status: 'Deleted' })], { name: 'new' }, { kind: 'send' }],
  ],
  [
    'another account for what may be there',
    [
      recorded({ ...SENT, intent: { fingerprint: 'f1', caller: { account: '2', endpoint: '' } } }),
      [],
      {},
      { kind: 'refuse', message: /asked for by account 2, and this is account 1,/, next: /of account 2\./ },
    ],
  ],
  [
    'another account for what may be there, which has one of our name',
    [
      recorded({ ...SENT, intent: { fingerprint: 'f1', caller: { account: '2', endpoint: '' } } }),
      [seen()],
      {},
      { kind: 'refuse' },
    ],
  ],
  [
    'another endpoint for what may be there',
    [
      recorded({ ...SENT, intent: { fingerprint: 'f1', caller: { account: '', endpoint: 'https://a' } } }),
      [],
      {},
      { kind: 'refuse', message: /asked for by an account at https:\/\/a, and this is account 1,/ },
    ],
  ],
  [
    'another account for what is not listed',
    [
      recorded({ ...DONE, intent: { fingerprint: 'f1', caller: { account: '2', endpoint: '' } } }),
      [],
      {},
      { kind: 'refuse', message: /^VNode vnd-1 of this release was asked for by account 2/ },
    ],
  ],
  [
    'another account that sees it',
    [
      recorded({ ...DONE, intent: { fingerprint: 'f1', caller: { account: '2', endpoint: '' } } }),
      [seen()],
      {},
      { kind: 'registered' },
    ],
  ],
  [
    'another account before anything was sent',
    [
      recorded({ intent: { fingerprint: 'f1', caller: { account: '2', endpoint: '' } } }),
      [],
      {},
      { kind: 'end', reason: /account has changed/ },
    ],
  ],
  [
    'an account that is not known is not another one',
    [
      recorded({ ...SENT, intent: { fingerprint: 'f1', caller: { account: '', endpoint: '' } } }),
      [],
      {},
      { kind: 'send' },
    ],
  ],
  [
    'another region for what is there',
    [
      recorded(DONE),
      [],
      { regionId: 'cn-beijing' },
      { kind: 'refuse', message: /vnd-1 of this release is in cn-hangzhou/ },
    ],
  ],
  [
    'another region for what may be there',
    [
      recorded(SENT),
      [],
      { regionId: 'cn-beijing' },
      { kind: 'refuse', message: /a VNode of this release is in cn-hangzhou/ },
    ],
  ],
])

for (const [name, [now, there, wish, expected]] of CASES) {
  t.test(name, async t => {
    t.match(nextStep(now, there, { wish: { ...WISH, ...wish }, now: NOW, watchedMs: 0 }), expected)
  })
}

const MINUTE = 60_000
/** Written down at which time of this machine, seen so for how long: is it waited for? */
const UNLISTED = new Map<string, [agoMs: number, watchedMs: number, kind: string]>([
  ['by a clock that is ten minutes behind, and just seen', [10 * MINUTE, 0, 'wait']],
  ['by a clock that is ten minutes behind, and long seen', [10 * MINUTE, VISIBLE_WITHIN_MS, 'end']],
  ['by a clock that is ten minutes ahead, and just seen', [-10 * MINUTE, VISIBLE_WITHIN_MS - 1, 'wait']],
  ['by a clock that is ten minutes ahead, and long seen', [-10 * MINUTE, VISIBLE_WITHIN_MS, 'end']],
  ['an hour ago by whatever clock', [60 * MINUTE, 0, 'end']],
])

for (const [name, [agoMs, watchedMs, kind]] of UNLISTED)
  t.test(`not listed, and written down ${name}`, async t => {
    const record = recorded({ ...DONE, recordedAt: NOW - agoMs })
    t.match(nextStep(record, [], { wish: WISH, now: NOW, watchedMs }), { kind })
  })

t.test('names of VNodes', async t => {
  for (const name of ['ab', 'vnode-profile', 'a.b-c.0', 'x'.repeat(128)])
    t.equal(virtualNodeNameProblem(name), undefined, name)
  for (const name of ['a', 'x'.repeat(129)])
    t.match(virtualNodeNameProblem(name), /2 to 128 characters/, name)
  for (const name of ['Ab', 'a_b', '-ab', 'ab.', 'a b', 'ä1'])
    t.match(virtualNodeNameProblem(name), /^A VNode's name holds/, name)
})
