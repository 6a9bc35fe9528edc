// Where a suggestion is from that was there before it was asked for: it has no prompt and no tokens.

import { addressOf } from '../route';
import type { Explanation } from '../types';
import { Section } from './section';

const KEPT = new Set(['cache', 'typing_as_suggested']);
const PREPARED = 'prefetch';

export function Origin({ one }: { one: Explanation }) {
  const source = one.source ?? '';
  if (one.kept_from) {
    return (
      <Section title="Where it is from">
        <p class="origin">
          Nothing was computed: it was kept from{' '}
          <a href={addressOf('requests', one.kept_from)}>
            request <code>{one.kept_from.slice(0, 8)}</code>
          </a>
          , which shows the prompt and who wrote the tokens.
        </p>
      </Section>
    );
  }
  if (!KEPT.has(source) && source !== PREPARED) {
    return null;
  }
  return (
    <Section title="Where it is from">
      <p class="origin">
        {source === PREPARED
          ? 'It was written ahead, before anybody asked, so its prompt and tokens were not noted.'
          : 'Nothing was computed: it is from an earlier answer, which is not remembered any more.'}
      </p>
    </Section>
  );
}
