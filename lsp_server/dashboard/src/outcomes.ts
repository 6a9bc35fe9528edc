// How requests end, in the words of the page.

import type { Explanation } from './types';

export type Outcome = 'suggestion' | 'nothing' | 'cancelled';

export const OUTCOMES: readonly Outcome[] = ['suggestion', 'nothing', 'cancelled'];

export const OUTCOME_NAMES: Record<Outcome, string> = {
  suggestion: 'Suggestion',
  nothing: 'Nothing shown',
  cancelled: 'Taken back',
};

export const OUTCOME_PLURALS: Record<Outcome, string> = {
  ...OUTCOME_NAMES,
  suggestion: 'Suggestions',
};

export function outcomeOf(one: Explanation): Outcome {
  return OUTCOMES.find((each) => each === one.outcome) ?? 'nothing';
}
