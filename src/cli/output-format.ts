/** Apart from what renders them, which a command loads only when it runs. */
export const OUTPUTS = ['table', 'json', 'yaml'] as const
export type Output = (typeof OUTPUTS)[number]
/** Of what is an answer of the API, and no list for people. */
export const ANSWER_OUTPUTS = ['json', 'yaml'] as const
export type AnswerOutput = (typeof ANSWER_OUTPUTS)[number]
