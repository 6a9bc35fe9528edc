// One request in full.

import { useEffect, useState } from 'preact/hooks';

import { RefusedError, explanationOf } from '../api';
import { counted, documentName, milliseconds, percent, reasonOf, timeOfDay, words } from '../format';
import { OUTCOME_NAMES, outcomeOf } from '../outcomes';
import { Chunks } from '../parts/chunks';
import { Code, CopyButton } from '../parts/code';
import { Empty } from '../parts/empty';
import { FeedbackSteps } from '../parts/feedback';
import { Back, OutcomeMark } from '../parts/icons';
import { Origin } from '../parts/origin';
import { OutputTokens } from '../parts/output';
import { PromptTokens } from '../parts/prompt';
import { Section } from '../parts/section';
import { StageBar, StageTable } from '../parts/stagebar';
import { addressOf } from '../route';
import { partsOf, totalOf } from '../stages';
import { requests } from '../state';
import type { Explanation } from '../types';

const UNKNOWN = 404;

export function Detail({ id }: { id: string }) {
  const { one, failure } = useExplanation(id);
  if (failure !== '' && one === null) {
    return <Forgotten failure={failure} />;
  }
  if (one === null) {
    return <p class="list-note">Fetching it…</p>;
  }
  return (
    <article class="detail" tabIndex={0} aria-label="Explanation">
      <a class="back" href={addressOf('requests')}>
        <Back /> All requests
      </a>
      <Head one={one} />
      <Suggested one={one} />
      <Origin one={one} />
      <Time one={one} />
      <PromptTokens prompt={one.prompt} />
      <OutputTokens output={one.output} speculation={one.speculation} />
      <Chunks chunks={one.context} />
      <FeedbackSteps one={one} />
      <Facts one={one} />
    </article>
  );
}

/** Returns the explanation, fetched again when the stream tells of something new about it. */
function useExplanation(id: string): { one: Explanation | null; failure: string } {
  const [one, setOne] = useState<Explanation | null>(null);
  const [failure, setFailure] = useState('');
  const known = requests.value.find((each) => each.id === id);
  useEffect(() => {
    const stop = new AbortController();
    explanationOf(id, stop.signal).then(
      (found) => {
        setOne(found);
        setFailure('');
      },
      (error: unknown) => {
        if (!stop.signal.aborted) {
          const isUnknown = error instanceof RefusedError && error.status === UNKNOWN;
          setFailure(isUnknown ? 'unknown' : String(error));
        }
      },
    );
    return () => stop.abort();
  }, [id, known]);
  return { one, failure };
}

function Forgotten({ failure }: { failure: string }) {
  if (failure !== 'unknown') {
    return (
      <Empty title="It could not be fetched">
        <p>{failure}</p>
      </Empty>
    );
  }
  return (
    <Empty title="This request is forgotten">
      <p>
        Only the newest are remembered, in memory and never on disk.{' '}
        <a href={addressOf('requests')}>See those that are.</a>
      </p>
    </Empty>
  );
}

function Head({ one }: { one: Explanation }) {
  const outcome = outcomeOf(one);
  return (
    <header class="detail-head">
      <p class={`eyebrow is-${outcome}`}>
        <OutcomeMark outcome={outcome} />
        {OUTCOME_NAMES[outcome]}
        <span class="muted number">{timeOfDay(one.time)}</span>
      </p>
      <h2 class="detail-title">
        {documentName(one)}
        {one.line != null && (
          <span class="position muted number">
            :{one.line}:{one.column ?? 1}
          </span>
        )}
      </h2>
      <p class="lead">{reasonOf(one)}</p>
    </header>
  );
}

function Suggested({ one }: { one: Explanation }) {
  const candidates = one.candidates ?? [];
  const texts = candidates.length > 1 ? candidates : one.text ? [one.text] : [];
  if (texts.length === 0) {
    return null;
  }
  return (
    <div class="candidates">
      {texts.map((text, at) => (
        <figure key={at} class="candidate">
          {texts.length > 1 && <figcaption>Candidate {at + 1}</figcaption>}
          <Code
            text={text}
            label={texts.length > 1 ? `Candidate ${at + 1}` : 'The suggested text'}
            column={one.column ?? 1}
          />
        </figure>
      ))}
    </div>
  );
}

function Time({ one }: { one: Explanation }) {
  const parts = partsOf(one);
  const total = totalOf(one);
  return (
    <Section title="Time" figure={milliseconds(total)}>
      <StageBar one={one} scale={total} />
      {parts.length > 0 ? (
        <StageTable parts={parts} total={total} />
      ) : (
        <p class="fine">
          {one.source && one.source !== 'engine'
            ? 'No engine was needed, so there are no stages.'
            : 'It ended before the engine was through, so its stages are not known.'}
        </p>
      )}
    </Section>
  );
}

const DOORS: Record<string, string> = {
  lsp: 'LSP',
  http: 'HTTP',
  control: 'the command line',
};

function askedBy({ client, door }: Explanation): string {
  const way = DOORS[door ?? ''] ?? door ?? '';
  return client && client !== door ? [client, way].filter(Boolean).join(' over ') : way || '–';
}

function Facts({ one }: { one: Explanation }) {
  const exactness =
    one.exactness === 'patched'
      ? `patched, ${counted(one.age, 'edit')} old at most`
      : words(one.exactness);
  const rows: [string, string][] = [
    ['Model', one.model ?? '–'],
    ['Language', words(one.language_id)],
    ['Asked by', askedBy(one)],
    ['Written by', words(one.source)],
    ['Ended by', words(one.finish_reason)],
    ['Confidence', percent(one.confidence)],
    ['Cache', exactness],
  ];
  return (
    <Section title="Facts">
      <dl class="facts">
        {rows
          .filter(([, value]) => value !== '–')
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        <div class="wide">
          <dt>In a terminal</dt>
          <dd>
            <code>fimble why {one.id}</code>
            <CopyButton text={`fimble why ${one.id}`} label="Copy the command" />
          </dd>
        </div>
      </dl>
    </Section>
  );
}
