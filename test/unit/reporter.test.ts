import { text } from 'node:stream/consumers'
import t from 'tap'
import Counts from '../reporter.js'

// With what is no failure: what a test prints, and what it is excused from, with tap's own words for that.
const TAP = `TAP version 14
# Subtest: test/a.test.ts
    # Subtest: a server
        # Subtest: under load
            not ok 1 - answers
              ---
              found: |
                    not ok 7 - no test, but what one printed
              ...
            ok 2 - closes
            1..2
        not ok 1 - under load # time=3ms
        not ok 2 - is quick # TODO not on this machine
        1..2
    not ok 1 - a server # time=4ms
    ok 2 - nothing else
    1..2
not ok 1 - test/a.test.ts # time=5ms

# Subtest: test/b.test.ts
    not ok 1 - ends # SKIP
    1..1
ok 2 - test/b.test.ts # time=5ms
not ok 3 - test/c.test.ts # time=6ms
1..3
# { total: 7, pass: 2, fail: 3, todo: 1, skip: 1 }
`

async function reported(input: string, size: number): Promise<string> {
  const reporter = new Counts()
  const bytes = Buffer.from(input)
  for (let at = 0; at < bytes.length; at += size) reporter.write(bytes.subarray(at, at + size))
  reporter.end()
  return await text(reporter)
}

for (const size of [1, 7, 100_000]) {
  t.test(`what failed is said again at the end, in pieces of ${size} bytes`, async t => {
    const output = await reported(TAP.replace('closes', 'schließt'), size)
    t.equal(
      output.split('\n\n').at(-1),
      'failed: test/a.test.ts > a server > under load > answers\nfailed: test/c.test.ts\n2 passed, 3 failed, 1 skipped\n',
    )
    t.ok(output.startsWith(TAP.replace('closes', 'schließt')), 'after all that there was')
  })
}

t.test('a run that broke off is a failure', async t => {
  t.match(await reported('TAP version 14\nok 1 - test/a.test.ts\n', 9), /\n0 passed, 1 failed\n$/)
})
