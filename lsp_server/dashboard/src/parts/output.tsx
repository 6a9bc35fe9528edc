// What the model wrote, with the tokens that a draft had guessed coloured by who guessed them.

import { count, counted, percent } from '../format';
import type { Maybe, OutputToken, Speculation } from '../types';
import { Section } from './section';
import { Tokens } from './tokens';

const TARGET = 'target';
const MEANINGS: Record<string, string> = {
  [TARGET]: 'Model',
  copied: 'Copied from the document',
  ngrams: 'Seen before in what was written',
  recycled: 'Runner-up of an earlier pass',
  expected: 'Rest of an older suggestion',
  exit: 'Early layer of the model',
  model: 'Smaller model',
};
// As many as the styles have; more sources than these begin anew.
const NUM_LOOKS = 6;
const KNOWN = Object.keys(MEANINGS).filter((name) => name !== TARGET);

function lookOf(origin: string, others: readonly string[]): string {
  if (origin === TARGET) {
    return 'is-target';
  }
  const at = KNOWN.indexOf(origin);
  return `is-draft-${(at >= 0 ? at : KNOWN.length + others.indexOf(origin)) % NUM_LOOKS}`;
}

interface Props {
  output: Maybe<OutputToken[]>;
  speculation: Maybe<Speculation>;
  isBrief?: boolean;
}

export function OutputTokens({ output, speculation, isBrief = false }: Props) {
  if (!output || output.length === 0) {
    return null;
  }
  const origins = [...new Set(output.map((token) => token.origin))];
  const others = origins.filter((origin) => origin !== TARGET && !KNOWN.includes(origin));
  const numOf = (origin: string) => output.filter((token) => token.origin === origin).length;
  return (
    <Section title="Output" figure={counted(output.length, 'token')}>
      <div class="code output" tabIndex={0} role="group" aria-label="The output">
        {output.map((token, at) => (
          <Tokens
            key={at}
            text={token.text}
            look={lookOf(token.origin, others)}
            description={titleOf(token)}
            isUsual={token.origin === TARGET}
          />
        ))}
      </div>
      <ul class="legend is-counted" aria-label="Who wrote the tokens">
        {[TARGET, ...origins.filter((origin) => origin !== TARGET)].map((origin) => (
          <li key={origin}>
            <span class={`sample token ${lookOf(origin, others)}`}>abc</span>
            {MEANINGS[origin] ?? origin} <b class="number">{count(numOf(origin))}</b>
          </li>
        ))}
      </ul>
      {!isBrief && <Passes speculation={speculation} />}
    </Section>
  );
}

function titleOf({ origin, logprob }: OutputToken): string {
  const likely = logprob == null ? '' : `, probability ${percent(Math.exp(logprob))}`;
  return `${MEANINGS[origin] ?? origin}${likely}`;
}

function Passes({ speculation }: { speculation: Maybe<Speculation> }) {
  if (!speculation?.num_forward_passes) {
    return null;
  }
  const { num_forward_passes, num_draft_tokens, num_accepted_tokens } = speculation;
  const drafted = num_draft_tokens ?? 0;
  const accepted = num_accepted_tokens ?? 0;
  return (
    <p class="fine">
      {count(num_forward_passes)} {num_forward_passes === 1 ? 'pass' : 'passes'} of the model
      {drafted > 0
        ? `; of ${counted(drafted, 'guessed token')} ${count(accepted)} were right (${percent(accepted / drafted)}).`
        : '; nothing was guessed ahead.'}
    </p>
  );
}
