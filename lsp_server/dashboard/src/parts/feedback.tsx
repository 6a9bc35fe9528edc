// What became of a suggestion.

import { counted, percent } from '../format';
import { outcomeOf } from '../outcomes';
import type { Explanation } from '../types';
import { Section } from './section';

const MOMENTS: readonly [string, string][] = [
  ['30', '30 s'],
  ['120', '2 min'],
  ['600', '10 min'],
];

export function FeedbackSteps({ one }: { one: Explanation }) {
  const feedback = one.feedback;
  if (outcomeOf(one) !== 'suggestion' || !feedback?.shown) {
    return null;
  }
  const accepted = {
    all: 'Accepted whole',
    part: `Accepted in part, ${counted(feedback.accepted_length, 'character')}`,
  }[feedback.accepted ?? ''];
  const kept = MOMENTS.filter(([key]) => feedback.kept?.[key] != null);
  return (
    <Section title="What became of it">
      <ol class="steps">
        <li class="is-done">Shown</li>
        <li class={accepted ? 'is-done' : ''}>{accepted ?? 'Not accepted so far'}</li>
        {kept.map(([key, after]) => (
          <li key={key} class="is-done">
            <b class="number">{percent(feedback.kept?.[key])}</b> left after {after}
          </li>
        ))}
      </ol>
    </Section>
  );
}
