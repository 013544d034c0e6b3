/** usage: node bench/bare-server.ts FOLDER PORT: the least that Node can do, a parsed body and a fixed patch. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { fixedAnswer, parseArguments, type Review } from './fixed-answer.ts'

const { folder, port } = parseArguments()
const answer = fixedAnswer(folder)
const tls = { cert: readFileSync(join(folder, 'tls.crt')), key: readFileSync(join(folder, 'tls.key')) }

createServer(tls, (request, response) => {
  const chunks: Buffer[] = []
  request.on('data', chunk => chunks.push(chunk))
  request.on('end', () => {
    const text = JSON.stringify(answer(JSON.parse(Buffer.concat(chunks).toString()) as Review))
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    })
    response.end(text)
  })
}).listen(port, '127.0.0.1')
