/** Names of VNodes at ECI, and of their Nodes in the cluster. */
import { dns1123SubdomainProblem } from '../kubernetes/names.ts'

const SHORTEST = 2
const LONGEST = 128

/** What is wrong with a VirtualNodeName, if anything. The API takes 2 to 128 of a-z, 0-9, '.' and '-'; ends are letters or digits for us, as it names objects of the cluster too. */
export function virtualNodeNameProblem(name: string): string | undefined {
  if (name.length < SHORTEST || name.length > LONGEST)
    return `A VNode's name has ${SHORTEST} to ${LONGEST} characters.`
  return dns1123SubdomainProblem(name)?.replace(/^A name/, "A VNode's name")
}

/** The Node that a VNode registers in the cluster. */
export function nodeNameOf(regionId: string, virtualNodeId: string): string {
  return `${regionId}.${virtualNodeId}`
}
