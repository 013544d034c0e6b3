/** usage: node bench/fastify-server.ts FOLDER PORT: Fastify with its defaults, a parsed body and a fixed patch. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fastify } from 'fastify'
import { fixedAnswer, parseArguments, type Review } from './fixed-answer.ts'

const { folder, port } = parseArguments()
const answer = fixedAnswer(folder)
const https = { cert: readFileSync(join(folder, 'tls.crt')), key: readFileSync(join(folder, 'tls.key')) }

const app = fastify({ https })
app.post<{ Body: Review }>('/mutate/pods', (request, reply) => {
  reply.send(answer(request.body))
})
await app.listen({ port, host: '127.0.0.1' })
