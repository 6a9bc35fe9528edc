// Code of other files that the model was shown, and why.

import { counted, words } from '../format';
import type { Chunk, Maybe } from '../types';
import { Code } from './code';
import { Section } from './section';

export function Chunks({ chunks }: { chunks: Maybe<Chunk[]> }) {
  if (!chunks || chunks.length === 0) {
    return null;
  }
  const best = Math.max(...chunks.map((chunk) => chunk.score ?? 0));
  return (
    <Section title="Code of other files" figure={counted(chunks.length, 'piece')}>
      <ol class="chunks">
        {chunks.map((chunk, at) => (
          <li key={at}>
            <ChunkRow chunk={chunk} best={best} />
          </li>
        ))}
      </ol>
    </Section>
  );
}

function ChunkRow({ chunk, best }: { chunk: Chunk; best: number }) {
  const head = (
    <>
      <span class="chunk-place">
        {chunk.path}
        <span class="muted number">
          :{chunk.start_line}–{chunk.end_line}
        </span>
      </span>
      {chunk.score != null && <Score score={chunk.score} best={best} />}
      <span class="chunk-reason">
        {chunk.source && <span class="tag">{words(chunk.source)}</span>}
        {chunk.reason}
      </span>
    </>
  );
  if (!chunk.text) {
    return <div class="chunk-head">{head}</div>;
  }
  return (
    <details>
      <summary class="chunk-head">{head}</summary>
      <Code text={chunk.text} label={`Lines of ${chunk.path}`} />
    </details>
  );
}

function Score({ score, best }: { score: number; best: number }) {
  const width = `${best > 0 ? Math.max(4, (score / best) * 100) : 0}%`;
  return (
    <span class="score">
      <span class="visually-hidden">score </span>
      <span class="number">{score.toFixed(2)}</span>
      <span class="score-bar" aria-hidden="true">
        <span style={{ width }} />
      </span>
    </span>
  );
}
