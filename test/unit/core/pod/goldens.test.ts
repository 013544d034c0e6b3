import t from 'tap'
import { mutatePod } from '../../../../src/core/pod/mutate.ts'
import {
  environmentOf,
  isUpdatingGoldens,
  readPodGoldens,
  removeUnusedExpected,
  renderExpected,
  unusedPodGoldens,
  writeExpected,
} from '../../../helpers/pod-goldens.ts'

for (const golden of readPodGoldens()) {
  t.test(golden.name, async t => {
    const environment = environmentOf(golden)
    const mutation = mutatePod(golden.pod, golden.namespace, environment)
    const text = renderExpected(mutation)
    if (isUpdatingGoldens) writeExpected(golden.name, text)
    else t.equal(text, golden.expectedText, 'UPDATE_GOLDENS=1 writes it anew')
    t.strictSame(
      mutatePod(mutation.result, golden.namespace, environment).patch,
      [],
      'fed back, it yields no patch',
    )
  })
}

t.test('every golden is used', async t => {
  if (isUpdatingGoldens) removeUnusedExpected()
  t.strictSame(unusedPodGoldens(), [])
})
