// How the last suggestion of the playground came about.

import { milliseconds, reasonOf, sentence } from '../format';
import { OUTCOME_NAMES, outcomeOf } from '../outcomes';
import { Code } from '../parts/code';
import { OutcomeMark } from '../parts/icons';
import { Origin } from '../parts/origin';
import { OutputTokens } from '../parts/output';
import { PromptTokens } from '../parts/prompt';
import { Section } from '../parts/section';
import { StageBar, StageTable } from '../parts/stagebar';
import { addressOf } from '../route';
import { partsOf, totalOf } from '../stages';
import type { Explanation } from '../types';

export interface Asked {
  state: 'idle' | 'asking' | 'loading' | 'answered' | 'failed';
  one?: Explanation;
  reason?: string;
}

export function Aside({ asked }: { asked: Asked }) {
  const { state, one, reason } = asked;
  return (
    <aside class="aside" aria-label="The last suggestion" tabIndex={0}>
      <p class="aside-state" role="status">
        {state === 'asking' && 'Asking the engine…'}
        {state === 'loading' && 'Loading the model, then the suggestion comes…'}
      </p>
      {state === 'failed' && (
        <div class="notice">
          <h2>The engine did not answer</h2>
          <p>{sentence(reason)}</p>
        </div>
      )}
      {one === undefined
        ? state !== 'failed' && <Idle />
        : state !== 'failed' && <Answer one={one} />}
    </aside>
  );
}

function Idle() {
  return (
    <div class="choose">
      <h2>Type, and wait a moment</h2>
      <p>
        What you write stays in this tab and in fimble's memory. Edits go to the engine as you make
        them, so it has to compute only what changed.
      </p>
      <p class="fine">This side shows how the last suggestion came about.</p>
    </div>
  );
}

function Answer({ one }: { one: Explanation }) {
  const outcome = outcomeOf(one);
  const candidates = one.candidates ?? [];
  return (
    <div class="answer">
      <div class={`eyebrow is-${outcome}`}>
        <OutcomeMark outcome={outcome} />
        <h2>{OUTCOME_NAMES[outcome]}</h2>
        <a class="more" href={addressOf('requests', one.id)}>
          All of it
        </a>
      </div>
      <p class="lead">{reasonOf(one)}</p>
      {candidates.length > 1 && (
        <div class="candidates">
          {candidates.map((text, at) => (
            <figure key={at} class="candidate">
              <figcaption>Candidate {at + 1}</figcaption>
              <Code text={text} label={`Candidate ${at + 1}`} />
            </figure>
          ))}
        </div>
      )}
      <Origin one={one} />
      <OutputTokens output={one.output} speculation={one.speculation} />
      <Section title="Time" figure={milliseconds(totalOf(one))}>
        <StageBar one={one} scale={totalOf(one)} />
        <StageTable parts={partsOf(one)} total={totalOf(one)} />
      </Section>
      <PromptTokens key={one.id} prompt={one.prompt} />
    </div>
  );
}
