/** Apart from what renders them, which a command loads only when it runs. */
export const OUTPUTS = ['table', 'json', 'yaml'] as const
export type Output = (typeof OUTPUTS)[number]
