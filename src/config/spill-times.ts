/** The flags about the times of a spill, the same for the helper and for whoever says what it does. */
import type { Command } from 'commander'
import type { SpillSettings } from '../core/spill/verdict.ts'
import { durationOption } from './flags.ts'

/** What commander makes of the flags of {@link addSpillTimes}; in milliseconds. */
export interface SpillTimesOptions {
  readonly spillAfter: number
  readonly spillWaitForScaleUp: number
}

export function addSpillTimes(command: Command): Command {
  return command
    .addOption(
      durationOption(
        '--spill-after <duration>',
        'how long a real node has to take a Pod, where its rule does not say spillAfter',
        '0s',
      ),
    )
    .addOption(
      durationOption(
        '--spill-wait-for-scale-up <duration>',
        'how long an autoscaler has to make a node for a Pod once it says that it does',
        '10m',
      ),
    )
}

export function spillTimesFrom({ spillAfter, spillWaitForScaleUp }: SpillTimesOptions): SpillSettings {
  return { afterMs: spillAfter, waitForScaleUpMs: spillWaitForScaleUp }
}
