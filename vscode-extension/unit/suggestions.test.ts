import { describe, expect, it } from 'vitest';
import { inWords, isOver, pauseFor } from '../src/suggestions/pausing';
import { startsOf, takenPart } from '../src/suggestions/texts';

function item(insertText: unknown, id: unknown = 'id-1') {
  const at = { line: 1, character: 4 };
  const command = { title: '', command: 'fimble.accepted', arguments: [id] };
  return { insertText, range: { start: at, end: at }, command };
}

describe('the suggestion in a list', () => {
  it('has the id of its request and all candidates', () => {
    expect(startsOf([item('a'), item('b')] as never)).toMatchObject({ id: 'id-1', texts: ['a', 'b'] });
    expect(startsOf({ items: [item('a')] } as never)).toMatchObject({ texts: ['a'] });
  });

  it.each([[null], [undefined], [[]], [{ items: [] }], [[{ insertText: 'a' }]], [[item('a', 7)]]])(
    'is none where there is nothing to tell of: %j',
    (given) => {
      expect(startsOf(given as never)).toBeUndefined();
    },
  );
});

describe('the part of a suggestion that stands in the document', () => {
  it.each([
    [['return width'], 'return', { text: 'return width', length: 6 }],
    [['return width'], '', undefined],
    [['return width'], 'retire', undefined],
    [['x = 1', 'y = 2'], 'y =', { text: 'y = 2', length: 3 }],
    [['"📐" * 2'], '"📐"', { text: '"📐" * 2', length: 4 }],
    [['a\n  b'], 'a\n', { text: 'a\n  b', length: 2 }],
  ])('of %j, where %j was typed, is %j', (texts, typed, taken) => {
    expect(takenPart(texts, typed)).toEqual(taken);
  });
});

describe('a pause', () => {
  const now = new Date(2026, 0, 1, 14, 0).getTime();

  it('ends after its minutes', () => {
    const pause = pauseFor(5, now);
    expect(isOver(pause, now + 299_999)).toBe(false);
    expect(isOver(pause, now + 300_000)).toBe(true);
    expect(inWords(pause)).toBe('until 14:05');
  });

  it('without minutes never ends by itself', () => {
    const pause = pauseFor(undefined, now);
    expect(isOver(pause, Number.MAX_SAFE_INTEGER)).toBe(false);
    expect(inWords(pause)).toBe('until you resume');
  });
});
