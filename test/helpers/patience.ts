/**
 * Milliseconds that a test may wait for what comes by itself. Tests name what is usual; a machine that runs everything
 * side by side needs several times that, and a test that passes never waits for longer than it must.
 */
export const patience = (usualMs: number): number => usualMs * 4
