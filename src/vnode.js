#!/usr/bin/env node
// Plain JavaScript that old versions of Node can read, so that they get to say what is wrong; nothing is imported before the check.
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(
    `vnode: needs Node.js 22.19 or newer, and this is ${process.versions.node} (${process.execPath}). Put a newer one first on PATH; 24 is best.\n`,
  )
  process.exitCode = 1
} else {
  import('./cli/main.ts').then(({ main }) => main())
}
