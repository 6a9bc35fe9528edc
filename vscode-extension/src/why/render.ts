// An explanation as a text that people read. Nothing here knows VS Code.
import type { ContextChunk, Explanation, OutputPart, PromptUse, Speculation } from './explanation';

const BAR_WIDTH = 30;
const STAGES: readonly (readonly [string, string])[] = [
  ['waiting', 'waiting'],
  ['retrieval', 'looking for context'],
  ['prompt', 'building the prompt'],
  ['patch', 'patching the cache'],
  ['prefill', 'reading'],
  ['decode', 'writing'],
  ['post', 'checking'],
];

/** Returns Markdown. `notes` are what this editor adds, such as that suggestions are paused. */
export function renderExplanation(explanation: Explanation | null, notes: readonly string[]): string {
  if (explanation === null) {
    const nothing = 'Nothing has been asked about this document yet. Type something, then look again.';
    return paragraphs(['# Why?', ...notes, nothing]);
  }
  return paragraphs([
    explanation.outcome === 'suggestion' ? '# Why this suggestion?' : '# Why no suggestion?',
    ...notes,
    capitalised(explanation.sentence ?? explanation.outcome ?? 'unknown'),
    where(explanation),
    suggestion(explanation),
    timings(explanation.timings_ms ?? {}),
    prompt(explanation),
    writing(explanation.speculation ?? undefined, explanation.output ?? []),
    context(explanation.context ?? []),
    explanation.id === undefined ? '' : `The request's id is \`${explanation.id}\`; \`fimble why ${explanation.id}\` says the same.`,
  ]);
}

function where({ path, uri, line, column, language_id, time, model }: Explanation): string {
  const place = path ?? uri ?? '';
  const cursor = line != null && column != null ? `, line ${line}, column ${column}` : '';
  const when = time == null ? '' : `, ${new Date(time * 1000).toLocaleTimeString()}`;
  const said = [language_id ? `language ${language_id}` : '', model ? `model ${model}` : ''].filter(Boolean);
  const first = place === '' ? '' : `\`${place}\`${cursor}${when}`;
  return [first, said.join(', ')].filter(Boolean).join('\n\n');
}

function suggestion({ text, confidence, source, kept_from, finish_reason, candidates }: Explanation): string {
  if (!text) {
    return '';
  }
  const others = (candidates ?? []).length - 1;
  const facts = [
    confidence == null ? '' : `confidence ${Math.round(confidence * 100)} %`,
    source ? `from ${source}` : '',
    kept_from ? `written for request \`${kept_from}\`` : '',
    finish_reason ? `ended by ${finish_reason.replaceAll('_', ' ')}` : '',
    others > 0 ? `${others} more to choose from` : '',
  ].filter(Boolean);
  return paragraphs(['## What was offered', fenced(text), facts.join(', ')]).trim();
}

function timings(times: Readonly<Record<string, number | null>>): string {
  const known = STAGES.filter(([name]) => typeof times[name] === 'number');
  const total = times['total'];
  if (known.length === 0 && typeof total !== 'number') {
    return '';
  }
  const longest = Math.max(1, ...known.map(([name]) => times[name] ?? 0));
  const rows = known.map(([name, words]) => {
    const spent = times[name] ?? 0;
    const bar = '█'.repeat(Math.round((spent / longest) * BAR_WIDTH));
    return `${words.padEnd(20)} ${milliseconds(spent)}  ${bar}`.trimEnd();
  });
  const last = typeof total === 'number' ? [`${'together'.padEnd(20)} ${milliseconds(total)}`] : [];
  return `## Where the time went\n\n${fenced([...rows, ...last].join('\n'))}`;
}

function milliseconds(spent: number): string {
  return `${spent.toFixed(1).padStart(8)} ms`;
}

function prompt({ prompt, exactness, age }: Explanation): string {
  const use: PromptUse = prompt ?? {};
  if (use.num_tokens == null || use.num_tokens === 0) {
    return '';
  }
  const parts = [
    ['taken from the cache', use.num_cached],
    ['moved to a new place', use.num_patched],
    ['computed anew', use.num_new],
    ['of them healed since', use.num_healed],
  ] as const;
  const said = parts.filter(([, count]) => count != null && count > 0).map(([words, count]) => `- ${count} ${words}`);
  const old = typeof age === 'number' && age > 0 ? `, ${age} edits old` : '';
  const exact = exactness ? `The cache was ${exactness}${old}.` : '';
  return paragraphs(['## What the model read', `${use.num_tokens} tokens:`, said.join('\n'), exact]).trim();
}

function writing(speculation: Speculation | undefined, output: readonly OutputPart[]): string {
  const drafted = speculation?.num_draft_tokens ?? 0;
  const copied = output.filter((part) => part.origin !== undefined && part.origin !== 'target');
  const sources = [...new Set(copied.map((part) => part.origin))].join(', ');
  const passes = speculation?.num_forward_passes ?? 0;
  if (passes === 0) {
    return '';
  }
  const accepted = speculation?.num_accepted_tokens ?? 0;
  const guesses = drafted > 0 ? `; ${accepted} of ${drafted} guessed tokens were right` : '';
  return `## How it was written\n\n${passes} passes of the model${guesses}${sources === '' ? '' : ` (${sources})`}.`;
}

function context(chunks: readonly ContextChunk[]): string {
  if (chunks.length === 0) {
    return '';
  }
  const rows = chunks.map((chunk) => {
    const lines = chunk.start_line == null ? '' : `:${chunk.start_line}-${chunk.end_line ?? chunk.start_line}`;
    const score = chunk.score == null ? '' : `, score ${chunk.score.toFixed(2)}`;
    const why = [chunk.source, chunk.reason].filter(Boolean).join(': ');
    return `- \`${chunk.path ?? 'unknown'}${lines}\`${score}${why === '' ? '' : ` (${why})`}`;
  });
  return `## Code of other files that it saw\n\n${rows.join('\n')}`;
}

/** Returns text in a fence that is longer than any inside it. */
function fenced(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map((match) => match[0].length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}\n${text}\n${fence}`;
}

function capitalised(sentence: string): string {
  const first = sentence.charAt(0).toUpperCase() + sentence.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

function paragraphs(parts: readonly string[]): string {
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}
