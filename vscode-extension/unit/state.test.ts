import { describe, expect, it } from 'vitest';
import { describe as show, percent, type ServerStatus, type Situation } from '../src/status/state';

function status(state: ServerStatus['state'], fraction: number | null = null, message: string = state): ServerStatus {
  return { state, message, fraction };
}

function situation(changes: Partial<Situation>): Situation {
  return {
    process: { kind: 'running' },
    server: status('ready'),
    complaint: '',
    isThinking: false,
    pausedUntil: undefined,
    disabled: undefined,
    isSparing: false,
    ...changes,
  };
}

describe('the status bar', () => {
  it.each([
    ['missing', { process: { kind: 'missing', problems: [] } }],
    ['installing', { process: { kind: 'installing' } }],
    ['starting', { process: { kind: 'starting' }, server: undefined }],
    ['starting', { server: undefined }],
    ['starting', { server: status('starting') }],
    ['downloading', { server: status('downloading', 0.34) }],
    ['loading', { server: status('loading') }],
    ['ready', {}],
    ['thinking', { isThinking: true }],
    ['paused', { pausedUntil: 'until 14:05', isThinking: true }],
    ['disabled', { disabled: 'for python' }],
    ['error', { process: { kind: 'failing', reason: 'exit code 1' } }],
    ['error', { server: status('error', null, 'no memory') }],
    ['error', { complaint: 'there is no daemon' }],
    ['error', { complaint: 'there is no daemon', pausedUntil: 'until 14:05' }],
  ] as [string, Partial<Situation>][])('says %s for %j', (state, changes) => {
    expect(show(situation(changes)).state).toBe(state);
  });

  it('says how much of the weights is there', () => {
    expect(show(situation({ server: status('downloading', 0.349) })).text).toContain('downloading 34 %');
  });

  it('is red for errors alone, and says what is wrong', () => {
    const shown = show(situation({ complaint: 'there is no daemon' }));
    expect(shown.isError).toBe(true);
    expect(shown.tooltip).toContain('there is no daemon');
    expect(show(situation({ process: { kind: 'missing', problems: [] } })).isError).toBe(false);
  });

  it.each([
    ['missing', { process: { kind: 'missing', problems: [] } }, 'fimble.installServer'],
    ['paused', { pausedUntil: 'until 14:05' }, 'fimble.resume'],
    ['ready', {}, 'fimble.menu'],
  ] as [string, Partial<Situation>, string][])('offers what helps when %s', (_, changes, command) => {
    expect(show(situation(changes)).command).toBe(command);
  });

  it('tells of the battery saver', () => {
    expect(show(situation({ isSparing: true })).tooltip).toContain('Battery saver is on');
  });
});

describe('a fraction in per cent', () => {
  it.each([
    [null, ''],
    [Number.NaN, ''],
    [0, ' 0 %'],
    [0.999, ' 99 %'],
    [1.2, ' 100 %'],
  ])('of %s is %j', (fraction, text) => {
    expect(percent(fraction)).toBe(text);
  });
});
