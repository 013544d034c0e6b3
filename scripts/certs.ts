import { parseArgs } from 'node:util'
import { messageOf, VnodeError } from '../src/core/errors.ts'
import { ensureDevCertificates } from '../src/webhook/dev-certificates.ts'

const HELP = `Makes a CA and a serving certificate for development, as "vnode webhook --dev-certs" does.

usage: node scripts/certs.ts [DIR] [--host NAME]…

  DIR          where ca.crt, tls.crt and tls.key go (default: certs)
  --host NAME  a name or address besides localhost, 127.0.0.1 and ::1; repeatable

example: node scripts/certs.ts certs --host webhook.test --host 10.0.0.7
`

try {
  process.stdout.write(await run(process.argv.slice(2)))
} catch (error) {
  const next = error instanceof VnodeError && error.next !== undefined ? `\n${error.next}` : ''
  process.stderr.write(`${messageOf(error)}${next}\n`)
  process.exitCode = error instanceof VnodeError && error.isUserError ? 2 : 1
}

async function run(args: string[]): Promise<string> {
  const { dir, hosts, isHelp } = parse(args)
  if (isHelp) return HELP
  const { created, reason } = await ensureDevCertificates(dir, { hosts, now: new Date() })
  return `${dir}: ${created ? 'made' : 'left as they are'}: ${reason}\n`
}

function parse(args: string[]): { dir: string; hosts: string[]; isHelp: boolean } {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { host: { type: 'string', multiple: true }, help: { type: 'boolean', short: 'h' } },
    })
    if (positionals.length > 1) throw new Error('one folder at most')
    return { dir: positionals[0] ?? 'certs', hosts: values.host ?? [], isHelp: values.help === true }
  } catch (cause) {
    throw new VnodeError('USAGE', messageOf(cause), { cause, next: 'See node scripts/certs.ts --help.' })
  }
}
