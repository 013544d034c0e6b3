import type { Test } from 'tap'

/** Has the wall clock of this process jump, until the test ends: Date tells another time, timers and the monotonic clock go on. */
export function jumpWallClock(t: Test, ms: number): void {
  const RealDate = globalThis.Date
  t.teardown(() => {
    globalThis.Date = RealDate
  })
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [RealDate.now() + ms] : args, newTarget),
    get: (target, key, receiver) =>
      key === 'now' ? () => RealDate.now() + ms : Reflect.get(target, key, receiver),
  })
}
