/** Bundles the executable into dist/: half the memory and start-up time of the same code from node_modules. */
import { rm, stat, writeFile } from 'node:fs/promises'
import { build, type Plugin } from 'esbuild'

/** Another folder than dist/ may be named on the command line. */
const [OUT = 'dist'] = process.argv.slice(2)
/** Bundled CommonJS packages call require for Node's own modules; in an ES module there is none. */
const REQUIRE =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);"

/**
 * Of client-node only KubeConfig is used, but its package does not say that its modules (one class of the API each) may be left out
 * where nobody uses them; they do nothing but define what they export.
 */
const leaveOutUnused: Plugin = {
  name: 'leave out what is unused of client-node',
  setup: ({ onResolve, resolve }) => {
    const inside = /[\\/]@kubernetes[\\/]client-node[\\/]dist/
    onResolve({ filter: /^\.|^@kubernetes\/client-node$/ }, async ({ path, pluginData, ...from }) => {
      if (pluginData === leaveOutUnused || !(path.startsWith('@kubernetes/') || inside.test(from.importer)))
        return undefined
      const { path: resolved, errors } = await resolve(path, { ...from, pluginData: leaveOutUnused })
      return { path: resolved, errors, sideEffects: false }
    })
  },
}

await rm(OUT, { recursive: true, force: true })
const { metafile } = await build({
  entryPoints: { vnode: 'src/vnode.js' },
  outdir: OUT,
  bundle: true,
  // Chunks load when a command needs them: `vnode --help` reads neither the API client nor the server.
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22.19',
  banner: { js: REQUIRE },
  chunkNames: 'chunks/[name]-[hash]',
  legalComments: 'linked',
  minifySyntax: true,
  metafile: true,
  plugins: [leaveOutUnused],
  logLevel: 'warning',
})
// The bundle is ES modules wherever it is copied to.
await writeFile(`${OUT}/package.json`, '{ "type": "module" }\n')
let bytes = 0
for (const file of Object.keys(metafile.outputs)) bytes += (await stat(file)).size
process.stdout.write(
  `${OUT}: ${Object.keys(metafile.outputs).length} files, ${Math.round(bytes / 1024)} KiB\n`,
)
