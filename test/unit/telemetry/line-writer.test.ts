import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { LineWriter } from '../../../src/telemetry/line-writer.ts'
import { removeOnExit } from '../../helpers/child-process.ts'
import { holds } from '../../helpers/webhook.ts'

function makeFile(t: Test): { fd: number; read: () => string } {
  const folder = mkdtempSync(join(tmpdir(), 'line-writer-'))
  t.teardown(removeOnExit(folder))
  const path = join(folder, 'log')
  const fd = openSync(path, 'a')
  t.teardown(() => closeSync(fd))
  return { fd, read: () => readFileSync(path, 'utf8') }
}

const linesOf = (count: number, width = 100) =>
  Array.from({ length: count }, (_, index) => `${String(index).padEnd(width, 'é')}\n`)

t.test('a line is written within a moment, without being asked', async t => {
  const { fd, read } = makeFile(t)
  const writer = new LineWriter(fd)
  writer.write('one\n')
  t.equal(read(), '', 'not at once')
  await holds(() => read() === 'one\n', 5000)
  writer.write('two\n')
  await holds(() => read() === 'one\ntwo\n', 5000)
  await writer.close()
})

t.test('many lines come in their order, each whole, and close waits for the last', async t => {
  const { fd, read } = makeFile(t)
  const writer = new LineWriter(fd)
  const lines = linesOf(10_000)
  for (const [index, line] of lines.entries()) {
    writer.write(line)
    if (index % 1000 === 0) await new Promise(resolve => setTimeout(resolve, 1))
  }
  await writer.close()
  t.ok(read() === lines.join(''), 'all of it')
})

t.test('lines that come while others are written are not left behind', async t => {
  const { fd, read } = makeFile(t)
  const writer = new LineWriter(fd)
  let written = ''
  for (let round = 0; round < 50; round += 1) {
    const lines = linesOf(round % 7 === 0 ? 100 : 1).join('')
    written += lines
    writer.write(lines)
    await new Promise(resolve => setImmediate(resolve))
  }
  await holds(() => read() === written, 5000)
  await writer.close()
})

t.test('closing with nothing to write, and twice, is fine; what comes afterwards is dropped', async t => {
  const { fd, read } = makeFile(t)
  const writer = new LineWriter(fd)
  await writer.close()
  await writer.close()
  writer.write('late\n')
  t.equal(read(), '')
})

t.test('nothing is heard on process but while it is open', async t => {
  const before = process.listenerCount('exit')
  const writers = Array.from({ length: 5 }, () => new LineWriter(makeFile(t).fd))
  t.equal(process.listenerCount('exit'), before + 5)
  for (const writer of writers) await writer.close()
  t.equal(process.listenerCount('exit'), before)
})

t.test('a disk that is full costs lines and nothing else', async t => {
  const fd = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(fd))
  const writer = new LineWriter(fd)
  for (const line of linesOf(1000)) writer.write(line)
  const begun = performance.now()
  await writer.close()
  t.ok(performance.now() - begun < 3000)
})

const WRITER = join(import.meta.dirname, '../../../src/telemetry/line-writer.ts')

/** A program of its own, since it is about the end of one and about pipes. */
function run(t: Test, body: string) {
  const source = `import { LineWriter } from ${JSON.stringify(WRITER)}
    // As main does it; a pipe does not block from then on.
    process.stdout.on('error', () => {})
    const writer = new LineWriter(1)
    ${body}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  return { child, ended: once(child, 'exit'), stderr: text(child.stderr) }
}

t.test('an exit all of a sudden writes what waits', async t => {
  for (const end of ['process.exit(3)', 'throw new Error("oh")']) {
    const { child, ended } = run(t, `writer.write('last words\\n'); ${end}`)
    t.equal(await text(child.stdout), 'last words\n')
    t.strictSame(await ended, [end.includes('exit') ? 3 : 1, null])
  }
})

t.test('a reader that is gone: nothing is kept for it, nothing is said, and the end comes', async t => {
  const { child, ended, stderr } = run(
    t,
    `process.stdin.resume()
    for (let count = 0; count < 200; count += 1) {
      for (let line = 0; line < 1000; line += 1) writer.write('x'.repeat(1000) + '\\n')
      await new Promise(resolve => setTimeout(resolve, 1))
    }
    const { rss } = process.memoryUsage()
    await writer.close()
    process.stderr.write(String(Math.round(rss / 2 ** 20)))
    process.exit(0)`,
  )
  child.stdout.destroy()
  t.strictSame(await ended, [0, null])
  const megabytes = Number(await stderr)
  t.ok(megabytes > 10 && megabytes < 180, `${megabytes} MB after 200 MB of lines`)
})

t.test('a reader that is stuck: little is kept for it, and it holds up the end for a second', async t => {
  const { child, ended, stderr } = run(
    t,
    `for (let line = 0; line < 100_000; line += 1) writer.write('x'.repeat(1000) + '\\n')
    await new Promise(resolve => setTimeout(resolve, 300))
    const { rss } = process.memoryUsage()
    const begun = performance.now()
    await writer.close()
    process.stderr.write(Math.round(rss / 2 ** 20) + ' ' + Math.round(performance.now() - begun))
    process.exit(0)`,
  )
  t.strictSame(await ended, [0, null])
  const [megabytes = 0, ms = 0] = (await stderr).split(' ').map(Number)
  t.ok(megabytes > 10 && megabytes < 180, `${megabytes} MB after 100 MB of lines`)
  t.ok(ms >= 900 && ms < 5000, `${ms} ms`)
  child.stdout.destroy()
})

t.test('a line that comes while a reader is stuck is written once it reads again', async t => {
  const { child } = run(
    t,
    `writer.write('x'.repeat(1_000_000) + '\\n')
    await new Promise(resolve => setTimeout(resolve, 50))
    writer.write('small\\n')
    setInterval(() => {}, 1000)`,
  )
  // Longer than the line would wait for others.
  await new Promise(resolve => setTimeout(resolve, 700))
  let received = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    received += part
  })
  await holds(() => received.endsWith('x\nsmall\n'), 5000)
})

t.test('a reader that is slow gets everything', async t => {
  const { child, ended } = run(
    t,
    `for (let line = 0; line < 3000; line += 1) writer.write(String(line).padEnd(200, 'x') + '\\n')
    await writer.close()
    process.exit(0)`,
  )
  let received = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    received += part
    child.stdout.pause()
    setTimeout(() => child.stdout.resume(), 20)
  })
  await ended
  await holds(() => child.stdout.readableEnded, 5000)
  t.equal(received.split('\n').length - 1, 3000)
  t.match(received, /\n2999x+\n$/)
})
