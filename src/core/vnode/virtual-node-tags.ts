/**
 * Tags of VNodes that are ours. They say whose a VNode is, and those of its settings that an update has to send again, because the API
 * neither tells them nor keeps them when they are left out.
 */
import { OWN_PREFIX } from '../names.ts'

export interface NamedTag {
  readonly key: string
  readonly value: string
}

/** By which VNodes of a cluster are known at ECI: its value is the uid of the namespace kube-system. */
export const CLUSTER_TAG = `${OWN_PREFIX}cluster`

/** What the API does not tell of a VNode. */
export interface VirtualNodeSettings {
  readonly clusterDNS: string
  readonly clusterDomain: string
  readonly customResources: string
}

export const SETTING_TAGS: Readonly<Record<keyof VirtualNodeSettings, string>> = {
  clusterDNS: `${OWN_PREFIX}cluster-dns`,
  clusterDomain: `${OWN_PREFIX}cluster-domain`,
  customResources: `${OWN_PREFIX}custom-resources`,
}

/** The API's limit of a tag's value. */
const LONGEST_VALUE = 128
/** In place of a value that does not fit. */
const TOO_LONG = '?'

/** True for the keys that nobody but us may set. */
export function isOwnTag(key: string): boolean {
  return key.startsWith(OWN_PREFIX)
}

/** The tags by which {@link rememberedSettings} finds these settings again; one that is empty needs none. */
export function settingTags(settings: Partial<VirtualNodeSettings>): readonly NamedTag[] {
  return settingNames().flatMap(name => {
    const value = settings[name] ?? ''
    if (value === '') return []
    return [{ key: SETTING_TAGS[name], value: value.length > LONGEST_VALUE ? TOO_LONG : value }]
  })
}

/** Of each setting what the tags say; undefined where they say nothing of it: somebody else made the VNode, or the value is too long. */
export function rememberedSettings(
  tags: readonly NamedTag[],
): Readonly<Record<keyof VirtualNodeSettings, string | undefined>> {
  const values = new Map(tags.map(({ key, value }) => [key, value]))
  // Of a VNode that we made, a setting without a tag is one that was not set.
  const absent = values.has(CLUSTER_TAG) ? '' : undefined
  const remembered = (name: keyof VirtualNodeSettings) => {
    const value = values.get(SETTING_TAGS[name]) ?? absent
    return value === TOO_LONG ? undefined : value
  }
  return {
    clusterDNS: remembered('clusterDNS'),
    clusterDomain: remembered('clusterDomain'),
    customResources: remembered('customResources'),
  }
}

export function settingNames(): readonly (keyof VirtualNodeSettings)[] {
  return ['clusterDNS', 'clusterDomain', 'customResources']
}
