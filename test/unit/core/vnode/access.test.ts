/** The tables of docs/vnode-rights.md are those of the program. UPDATE_GOLDENS=1 writes them anew. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { AccessRule } from '../../../../src/core/access-rule.ts'
import { bootstrapTokenAccess, vnodeAccess } from '../../../../src/core/vnode/access.ts'

const FILE = join(import.meta.dirname, '../../../../docs/vnode-rights.md')
const TABLES: readonly (readonly [name: string, rules: readonly AccessRule[]])[] = [
  ['vnode', vnodeAccess()],
  ['bootstrap-token', bootstrapTokenAccess()],
]

for (const [name, rules] of TABLES) {
  t.test(`docs/vnode-rights.md: ${name}`, async t => {
    const [begin, end] = [`<!-- ${name} -->\n`, `<!-- /${name} -->`]
    const text = readFileSync(FILE, 'utf8')
    const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(end)]
    t.ok(from >= begin.length && to >= from, 'has the place')
    const table = renderTable(rules)
    if (process.env.UPDATE_GOLDENS) writeFileSync(FILE, `${text.slice(0, from)}${table}${text.slice(to)}`)
    else t.equal(text.slice(from, to), table)
  })
}

function renderTable(rules: readonly AccessRule[]): string {
  const rows = rules.map(({ namespace, apiGroup, resources, resourceNames, verbs, reason }) => {
    const group = apiGroup === '' ? '' : `.${apiGroup}`
    const what = resources.map(resource => {
      const [plural, subresource] = resource.split('/')
      return `\`${plural}${group}${subresource === undefined ? '' : `/${subresource}`}\``
    })
    const names =
      resourceNames === undefined ? '' : `, name ${resourceNames.map(one => `\`${one}\``).join(', ')}`
    return `| ${namespace ?? 'cluster'} | ${what.join(', ')}${names} | ${verbs.join(', ')} | ${reason} |\n`
  })
  return `\n| where | resource | verbs | why |\n| --- | --- | --- | --- |\n${rows.join('')}\n`
}
