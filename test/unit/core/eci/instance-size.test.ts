import t from 'tap'
import { billedSize, isSold, sizedAmount } from '../../../../src/core/eci/instance-size.ts'
import { formatCpu, formatMemory, parseQuantity } from '../../../../src/core/kubernetes/quantity.ts'

const amount = (text: string) => parseQuantity(text) ?? 0n

const sizes: readonly (readonly [string, string, string])[] = [
  ['0', '0', '0.25 vCPU 512 MiB'],
  ['250m', '512Mi', '0.25 vCPU 512 MiB'],
  ['250m', '513Mi', '0.25 vCPU 1 GiB'],
  ['251m', '512Mi', '0.5 vCPU 1 GiB'],
  ['1', '1Gi', '1 vCPU 2 GiB'],
  ['2', '1Gi', '2 vCPU 1 GiB'],
  ['2', '5Gi', '2 vCPU 8 GiB or 2 vCPU 6 GiB'],
  ['1', '10Gi', '2 vCPU 16 GiB or 2 vCPU 10 GiB'],
  // The vendor's own example: 7 vCPU and 13 GiB become 8 and 14 in Hangzhou, and 8 and 16 in the older, shorter table.
  ['7', '13Gi', '8 vCPU 16 GiB or 8 vCPU 14 GiB'],
  ['6', '12Gi', '8 vCPU 16 GiB or 6 vCPU 12 GiB'],
  ['8', '16Gi', '8 vCPU 16 GiB'],
  ['33', '1Gi', '52 vCPU 96 GiB'],
  ['64', '512Gi', '64 vCPU 512 GiB'],
  ['65', '1Gi', 'none'],
  ['1', '513Gi', 'none'],
]
for (const [cpu, memory, expected] of sizes) {
  t.test(`${cpu} CPU and ${memory} become ${expected}`, async t => {
    const spell = (size: { cpu: bigint; memory: bigint }) =>
      `${formatCpu(size.cpu)} vCPU ${formatMemory(size.memory)}`
    const billed = billedSize({ cpu: amount(cpu), memory: amount(memory) })
    const regional = billed?.someRegions === undefined ? '' : ` or ${spell(billed.someRegions)}`
    t.equal(billed === undefined ? 'none' : spell(billed.everywhere) + regional, expected)
    t.equal(isSold({ cpu: amount(cpu), memory: amount(memory) }), expected !== 'none')
  })
}

t.test('ECI adds up limits, or requests where there is no limit', async t => {
  const spec = {
    containers: [
      { resources: { requests: { cpu: '1' }, limits: { cpu: '2' } } },
      { resources: { requests: { cpu: '500m' } } },
      { resources: { requests: { memory: '1Gi' } } },
    ],
  }
  t.equal(sizedAmount(spec, 'cpu'), amount('2.5'))
  t.equal(sizedAmount(spec, 'memory'), amount('1Gi'))
})

t.test('a container that declares itself left out is left out', async t => {
  const resources = { limits: { cpu: '1' } }
  const left = { resources, env: [{ name: 'A' }, { name: '__ECI_RESOURCE_IGNORE__', value: 'TRUE' }] }
  const other = { resources, env: [null, { name: '__ECI_RESOURCE_IGNORE__', value: 'no' }] }
  t.equal(sizedAmount({ containers: [{ resources }, left, other] }, 'cpu'), amount('2'))
  t.equal(sizedAmount({ containers: [left] }, 'cpu'), undefined)
})
