/** Without helm the chart's tests say how to get it. */
import t from 'tap'
import { findHelm } from '../helpers/chart.ts'
import { MissingProgramsError } from '../helpers/kube-programs.ts'

t.test('what is missing where, and the command that builds it', async t => {
  // This file's process has them to itself.
  Object.assign(process.env, { KUBE_CACHE: '/nowhere', KUBEBUILDER_ASSETS: '' })
  t.throws(() => findHelm(), {
    constructor: MissingProgramsError,
    message: /no helm in \/nowhere\/v.*; to build it: npm run control-plane -- 1\.34\.4 helm/,
  })
})
