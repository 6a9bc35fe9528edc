// What the model was shown, with how each token was had drawn over it.

import { useEffect, useRef, useState } from 'preact/hooks';

import { count, counted, percent } from '../format';
import type { Maybe, Prompt, Span } from '../types';
import { Section } from './section';
import { Tokens } from './tokens';

interface TokenState {
  state: string;
  name: string;
  meaning: string;
  num: (prompt: Prompt) => Maybe<number>;
}

const STATES: readonly TokenState[] = [
  { state: 'exact', name: 'Exact', meaning: 'kept from before, as if computed now', num: (p) => p.num_cached },
  { state: 'patched', name: 'Patched', meaning: 'kept and moved, computed before the text changed', num: (p) => p.num_patched },
  { state: 'new', name: 'New', meaning: 'computed for this request', num: (p) => p.num_new },
  { state: 'healed', name: 'Healed', meaning: 'kept before, computed again for this request', num: (p) => p.num_healed },
];
const SEGMENTS: Record<string, string> = {
  head: 'Repository',
  context: 'Code of other files',
  file: 'Name of the file',
  prefix: 'Above the cursor',
  suffix: 'Behind the cursor',
  middle: 'The line of the cursor',
};
const MAX_CHARS = 360; // of tokens that nothing was done for, before they are folded
const KEPT_CHARS = 120;

export function PromptTokens({ prompt }: { prompt: Maybe<Prompt> }) {
  if (!prompt?.num_tokens) {
    return null;
  }
  return (
    <Section title="Prompt" figure={counted(prompt.num_tokens, 'token')}>
      <StateBar prompt={prompt} total={prompt.num_tokens} />
      {prompt.spans && prompt.spans.length > 0 ? (
        <Drawn spans={prompt.spans} />
      ) : (
        <p class="fine">Its text is not kept: the model was dropped since.</p>
      )}
    </Section>
  );
}

function StateBar({ prompt, total }: { prompt: Prompt; total: number }) {
  return (
    <>
      <div class="statebar" aria-hidden="true">
        {STATES.filter(({ num }) => num(prompt)).map(({ state, num }) => (
          <span key={state} class={`state is-${state}`} style={{ flexGrow: num(prompt) ?? 0 }} />
        ))}
      </div>
      <ul class="legend is-counted" aria-label="How the tokens were had">
        {STATES.map(({ state, name, meaning, num }) => (
          <li key={state} title={meaning}>
            <span class={`sample token is-${state}`}>abc</span>
            {name} <b class="number">{count(num(prompt) ?? 0)}</b>
            <span class="muted number">{percent((num(prompt) ?? 0) / total)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

/** Returns runs of spans that belong to one segment. */
function bySegment(spans: readonly Span[]): { segment: string; spans: Span[] }[] {
  const groups: { segment: string; spans: Span[] }[] = [];
  for (const span of spans) {
    const last = groups.at(-1);
    if (last !== undefined && last.segment === span.segment) {
      last.spans.push(span);
    } else {
      groups.push({ segment: span.segment, spans: [span] });
    }
  }
  return groups;
}

function Drawn({ spans }: { spans: readonly Span[] }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = box.current;
    element?.scrollTo({ top: element.scrollHeight }); // where the model went on
  }, []);
  return (
    <div class="code prompt" ref={box} tabIndex={0} role="group" aria-label="The prompt">
      {bySegment(spans).map(({ segment, spans: inside }, at) => (
        <div key={at} class="segment">
          <p class="segment-name">{SEGMENTS[segment] ?? segment}</p>
          <div class="segment-text">
            {inside.map((span, index) => (
              <Token key={index} span={span} />
            ))}
          </div>
        </div>
      ))}
    </div>
  );
}

/** Returns the first and the last lines of a long text. */
function ends(text: string): [string, string] {
  const headEnd = text.indexOf('\n', KEPT_CHARS) + 1;
  const tailStart = text.lastIndexOf('\n', text.length - KEPT_CHARS) + 1;
  const isOfLines = headEnd > 0 && headEnd < tailStart;
  return isOfLines
    ? [text.slice(0, headEnd), text.slice(tailStart)]
    : [text.slice(0, KEPT_CHARS), text.slice(-KEPT_CHARS)];
}

function Token({ span }: { span: Span }) {
  const [isOpen, setOpen] = useState(false);
  const title = `${span.state}, ${counted(span.num_tokens, 'token')}`;
  const open = (event: Event) => {
    // The button goes, and the focus would go with it.
    (event.currentTarget as HTMLElement).closest<HTMLElement>('.prompt')?.focus({ preventScroll: true });
    setOpen(true);
  };
  if (isOpen || span.state !== 'exact' || span.text.length <= MAX_CHARS) {
    return (
      <Tokens
        text={span.text}
        look={`is-${span.state}`}
        description={title}
        isUsual={span.state === 'exact'}
      />
    );
  }
  const [head, tail] = ends(span.text);
  const numHidden = span.text.length - head.length - tail.length;
  return (
    <span class={`token is-${span.state}`} title={title}>
      {head}
      <button type="button" class="fold" onClick={open}>
        {count(numHidden)} characters more
      </button>
      {tail}
    </span>
  );
}
