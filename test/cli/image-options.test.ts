import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const DOCKERFILE = join(import.meta.dirname, '../../Dockerfile')
const LIMIT = "process.stdout.write(String(require('node:v8').getHeapStatistics().heap_size_limit))"

t.test('the options that the image gives Node limit its heap to half of the memory', async t => {
  const [, options = ''] = /NODE_OPTIONS=(\S+)/.exec(readFileSync(DOCKERFILE, 'utf8')) ?? []
  const heapLimit = (NODE_OPTIONS: string) => {
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', LIMIT], {
      env: { NODE_OPTIONS },
      encoding: 'utf8',
    })
    t.equal(stderr, '')
    return Number(stdout)
  }
  const half = heapLimit(options)
  t.ok(half > 0)
  // Without a limit of the container, it is half of the machine's.
  const quarter = heapLimit(options.replace('50', '25'))
  t.ok(Math.abs(half / quarter - 2) < 0.1, `${half} and ${quarter} bytes`)
})
