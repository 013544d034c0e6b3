import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { isAlive } from '../helpers/child-process.ts'

const skip = process.platform === 'linux' ? false : 'only Linux ends children with their parent'
t.test('a process that is killed leaves no children', { skip }, async t => {
  const script = `
    import { Child } from './test/helpers/child-process.ts'
    process.stdout.write(String(new Child('sleep', ['60'], '/dev/null').pid))
    setInterval(() => {}, 1000)`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [pid] = await once(parent.stdout, 'data')
  t.ok(isAlive(Number(pid)))
  parent.kill('SIGKILL')
  await once(parent, 'close')
  // The kernel ends it a moment later, and tells nobody but the process that adopts it.
  for (let attempt = 0; isAlive(Number(pid)) && attempt < 200; attempt += 1) await delay(10)
  t.notOk(isAlive(Number(pid)))
})

t.test('without the programs', async t => {
  const script = `
    import t from 'tap'
    import { controlPlaneOrSkip } from './test/helpers/control-plane.ts'
    await controlPlaneOrSkip(t, { version: '1.2.3' })`
  const runWith = async (env: Record<string, string>): Promise<{ code: number; output: string }> => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      env: { PATH: process.env.PATH, TAP: '1', ...env },
    })
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ])
    return { code, output: stdout + stderr }
  }
  const KUBE_CACHE = t.testdir()
  const reason = new RegExp(`${KUBE_CACHE}/v1.2.3 lacks etcd, .*npm run control-plane -- 1.2.3`)
  t.match(await runWith({ KUBE_CACHE }), { code: 0, output: reason }, 'the test is skipped, and says why')
  t.match(await runWith({ KUBE_CACHE, CI: 'true' }), { code: 1, output: reason }, 'in CI it fails')
})
