/** Holds a write of the helper's back inside the API server. */
import type { Test } from 'tap'
import { type E2e, SYSTEM } from './e2e.ts'
import { NAMES } from './e2e-helper.ts'
import { HeldReviews } from './held-reviews.ts'

const ACCOUNT = `system:serviceaccount:${SYSTEM}:${NAMES.owner}`
const POD_NAME = 'authentication.kubernetes.io/pod-name'

export interface HeldWrite {
  /** Whose it is. */
  readonly podName: string
  release(): void
}

export class HeldWrites {
  readonly #reviews: HeldReviews

  private constructor(reviews: HeldReviews) {
    this.#reviews = reviews
  }

  /** From when this resolves on, every write of the helper's Secret by a helper comes by. The API server has to be on this machine. */
  static async start(t: Test, e2e: E2e): Promise<HeldWrites> {
    const expression = `request.userInfo.username == '${ACCOUNT}' && request.name == '${NAMES.secret}'`
    const reviews = await HeldReviews.start(t, {
      name: 'vnode-e2e-held-writes',
      resource: 'secrets',
      which: { matchConditions: [{ name: 'of-the-helper', expression }] },
      apply: (path, object) => e2e.kube.apply(path, object),
      remove: path => e2e.remove(path),
    })
    const seen = () => e2e.kubectl(...DRY_WRITE).then(() => (reviews.count > 0 ? true : undefined))
    await e2e.waitFor('writes of the Secret come by', seen)
    return new HeldWrites(reviews)
  }

  /** The next one that is more than a dry run. All others go through. */
  async next(): Promise<HeldWrite> {
    const { request, release } = await this.#reviews.next()
    const [podName = ''] = request.userInfo.extra?.[POD_NAME] ?? []
    return { podName, release }
  }
}

const DRY_WRITE = [
  'patch',
  'secret',
  NAMES.secret,
  `--as=${ACCOUNT}`,
  '--dry-run=server',
  '--type=merge',
  '--patch={"metadata":{"labels":{"vnode-e2e":"try"}}}',
]
