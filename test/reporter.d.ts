import type { Transform } from 'node:stream'

declare const Counts: new () => Transform
export default Counts
