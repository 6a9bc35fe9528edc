import { describe, expect, it } from 'vitest';
import { sparing, takesBack, writtenSettings, type Written } from '../src/settings';

const TABLE = [
  { key: 'completion.deadline_ms' },
  { key: 'completion.disabled_languages' },
  { key: 'server.nice', variable: 'FIMBLE_SERVER_NICE' },
  { key: 'index.enabled' },
];
const OWN = [{ key: 'server.wait_for_model', ownDefault: true }];

function sent(written: Record<string, Written>) {
  return writtenSettings(TABLE, (key) => written[key]);
}

describe('what is sent to the server', () => {
  it('leaves out everything that nobody wrote, so that the settings files count', () => {
    expect(sent({ 'completion.deadline_ms': {} })).toEqual({ message: {}, variables: {} });
  });

  it('nests names by section', () => {
    const written = { 'completion.deadline_ms': { globalValue: 300 }, 'index.enabled': { globalValue: false } };
    expect(sent(written).message).toEqual({ completion: { deadline_ms: 300 }, index: { enabled: false } });
  });

  it('lets the workspace outrank the user', () => {
    const written = { 'completion.deadline_ms': { globalValue: 300, workspaceValue: 200 } };
    expect(sent(written).message).toEqual({ completion: { deadline_ms: 200 } });
  });

  it('holds a default of our own until somebody writes another value', () => {
    expect(writtenSettings(OWN, () => ({})).message).toEqual({ server: { wait_for_model: true } });
    expect(writtenSettings(OWN, () => ({ globalValue: false })).message).toEqual({ server: { wait_for_model: false } });
  });

  it('gives what counts at the start to the process as a variable', () => {
    expect(sent({ 'server.nice': { globalValue: 0 } })).toEqual({
      message: {},
      variables: { FIMBLE_SERVER_NICE: '0' },
    });
  });
});

describe('the battery saver', () => {
  it('switches healing off where nothing is said about it', () => {
    expect(sparing({})).toEqual({ engine: { patching: 'identifiers' } });
    expect(sparing({ engine: { patching: 'heal' } })).toEqual({ engine: { patching: 'identifiers' } });
  });

  it('keeps a choice that heals nothing', () => {
    expect(sparing({ engine: { patching: 'exact' } })).toEqual({ engine: { patching: 'exact' } });
  });

  it('changes a copy', () => {
    const message = { engine: { prefetch: true } };
    sparing(message);
    expect(message).toEqual({ engine: { prefetch: true } });
  });
});

describe('a change of settings', () => {
  it('takes something back if a setting is written no longer', () => {
    expect(takesBack({ model: { name: 'a' } }, {})).toBe(true);
  });

  it('takes nothing back if a setting has another value or is new', () => {
    expect(takesBack({ model: { name: 'a' } }, { model: { name: 'b' }, index: { enabled: true } })).toBe(false);
  });
});
