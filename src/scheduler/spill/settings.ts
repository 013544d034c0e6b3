import type { SpillSettings } from '../../core/spill/verdict.ts'

export interface SpillProgramSettings extends SpillSettings {
  /** Spills a second. */
  readonly rate: number
  /** Spills at once. */
  readonly burst: number
}

/** ECI takes 100 creations at once and then 20 a second (the lower of its published limits). */
export const DEFAULT_SPILL: SpillProgramSettings = {
  afterMs: 0,
  waitForScaleUpMs: 600_000,
  rate: 20,
  burst: 100,
}
