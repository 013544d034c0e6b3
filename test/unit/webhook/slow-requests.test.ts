import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import t from 'tap'
import { headOf, REQUEST, REVIEW } from '../../helpers/raw-requests.ts'
import { makeReviewApp, PODS } from '../../helpers/review-app.ts'

t.test('a body that takes longer than it may ends its connection; others are served meanwhile', async t => {
  const { app } = await makeReviewApp(t)
  // In place of 30 seconds, and enough for the others; Node reads these when it begins to listen.
  app.server.requestTimeout = 2000
  app.server.headersTimeout = 2000
  Object.assign(app.server, { connectionsCheckingInterval: 50 })
  app.server.listen({ host: '127.0.0.1', port: 0 })
  await once(app.server, 'listening')
  const { port } = app.server.address() as AddressInfo
  const slow = connect({ host: '127.0.0.1', port })
  const begun = performance.now()
  slow.write(headOf(REVIEW.length) + REVIEW.slice(0, 50))
  const trickle = setInterval(() => slow.writable && slow.write(' '), 20)
  let received = ''
  slow.setEncoding('utf8').on('data', (text: string) => {
    received += text
  })
  // Its last bytes may come when nobody reads them any more.
  slow.on('error', () => undefined)
  slow.on('close', () => clearInterval(trickle))
  const answers = []
  while (!slow.closed && performance.now() - begun < 20_000) {
    const answer = await fetch(`http://127.0.0.1:${port}${PODS}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: REVIEW,
    })
    answers.push(answer.status)
  }
  t.match(received, /^HTTP\/1\.1 408 /)
  t.ok(performance.now() - begun > 1950)
  t.ok(answers.length > 5)
  t.strictSame(new Set(answers), new Set([200]))
})

t.test('a request is not slow because its connection is old', async t => {
  const { app } = await makeReviewApp(t)
  app.server.requestTimeout = 800
  app.server.headersTimeout = 800
  Object.assign(app.server, { connectionsCheckingInterval: 50 })
  app.server.listen({ host: '127.0.0.1', port: 0 })
  await once(app.server, 'listening')
  const { port } = app.server.address() as AddressInfo
  const socket = connect({ host: '127.0.0.1', port })
  for (let count = 0; count < 2; count += 1) {
    socket.write(REQUEST)
    const [answer] = await once(socket, 'data')
    t.match(String(answer), /^HTTP\/1\.1 200 /)
    // Idle for longer than a request may take.
    await new Promise(resolve => setTimeout(resolve, 1000))
  }
  socket.destroy()
})
