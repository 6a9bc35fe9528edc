import { describe, expect, it } from 'vitest';
import { renderExplanation } from '../src/why/render';

const FULL = {
  id: 'a1',
  outcome: 'suggestion',
  sentence: 'a suggestion was offered',
  path: 'shapes.py',
  line: 2,
  column: 15,
  language_id: 'python',
  model: 'tiny',
  text: 'th * height',
  confidence: 0.874,
  source: 'engine',
  candidates: ['th * height', 'th'],
  timings_ms: { total: 120, prefill: 80, decode: 40 },
  prompt: { num_tokens: 50, num_cached: 40, num_patched: 0, num_new: 10 },
  exactness: 'exact',
  output: [
    { text: 'th', origin: 'copied' },
    { text: ' *', origin: 'target' },
    { text: ' height', origin: 'model' },
  ],
  speculation: { num_forward_passes: 3, num_draft_tokens: 8, num_accepted_tokens: 5 },
  context: [{ path: 'a.py', start_line: 1, end_line: 9, score: 1.25, source: 'words', reason: 'shares area' }],
};

describe('an explanation', () => {
  it('says what was offered, from what, and where the time went', () => {
    const text = renderExplanation(FULL, []);
    for (const part of [
      '# Why this suggestion?',
      '`shapes.py`, line 2, column 15',
      'th * height',
      'confidence 87 %, from engine, 1 more to choose from',
      '80.0 ms',
      '40 taken from the cache',
      '3 passes of the model; 5 of 8 guessed tokens were right (copied, model).',
      '`a.py:1-9`, score 1.25 (words: shares area)',
      '`fimble why a1`',
    ]) {
      expect(text).toContain(part);
    }
  });

  it('names the request that wrote a text which was kept', () => {
    const text = renderExplanation({ ...FULL, source: 'session', kept_from: 'a0' }, []);
    expect(text).toContain('from session, written for request `a0`');
  });

  it('draws the longest stage with the longest bar', () => {
    const bars = renderExplanation(FULL, []).match(/█+/g)?.map((bar) => bar.length);
    expect(bars).toEqual([30, 15]);
  });

  it('says in a sentence why there is nothing', () => {
    const text = renderExplanation({ outcome: 'nothing', sentence: 'no suggestion: middle of a word' }, []);
    expect(text).toBe('# Why no suggestion?\n\nNo suggestion: middle of a word.\n');
  });

  it('says that nothing was asked yet', () => {
    expect(renderExplanation(null, ['Paused.'])).toContain('Paused.\n\nNothing has been asked');
  });

  it.each([[{}], [{ timings_ms: null, prompt: null, context: null, output: null, candidates: null, feedback: null }]])(
    'of a server that says less is still one: %j',
    (explanation) => {
      expect(renderExplanation(explanation, [])).toContain('# Why no suggestion?');
    },
  );

  it('fences text that holds fences itself', () => {
    const text = renderExplanation({ outcome: 'suggestion', text: '```\ncode\n```' }, []);
    expect(text).toContain('````\n```\ncode\n```\n````');
  });
});
