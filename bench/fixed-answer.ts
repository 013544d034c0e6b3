import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** As much of an AdmissionReview as a server reads that always gives the same patch. */
export interface Review {
  readonly apiVersion: string
  readonly request: { readonly uid: string }
}

/** The file in the folder that holds the patch, in base64. */
export const PATCH_FILE = 'patch.base64'

/** Answers every review with the patch of the folder's file. */
export function fixedAnswer(folder: string): (review: Review) => object {
  const patch = readFileSync(join(folder, PATCH_FILE), 'utf8')
  return ({ apiVersion, request: { uid } }) => ({
    apiVersion,
    kind: 'AdmissionReview',
    response: { uid, allowed: true, patchType: 'JSONPatch', patch },
  })
}

export function parseArguments(): { folder: string; port: number } {
  const [folder = '', port = ''] = process.argv.slice(2)
  return { folder, port: Number(port) }
}
