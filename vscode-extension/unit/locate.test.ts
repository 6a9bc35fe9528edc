import { describe, expect, it } from 'vitest';
import { findServer, isMissing, updateFor, type Machine, type Place } from '../src/server/locate';

const OWN = '/storage/server-1';
const ON_PATH = '/usr/bin/fimble';
const OF_OWN = `${OWN}/bin/fimble`;
const OF_PIPX = '/people/me/.local/bin/fimble';

function machine(programs: Record<string, string>, changes: Partial<Machine> = {}): Machine {
  return {
    setting: [],
    pathVariable: '/opt/bin:/usr/bin',
    home: '/people/me',
    ownFolder: OWN,
    platform: 'linux',
    isProgram: (file) => Promise.resolve(file in programs),
    askVersion: (command) => {
      const said = programs[command.join(' ')];
      return said?.startsWith('fimble ') === true ? Promise.resolve(said) : Promise.reject(new Error(said ?? 'ENOENT'));
    },
    ...changes,
  };
}

describe('the server', () => {
  it('is what the setting names, with its first arguments', async () => {
    const setting = ['/venv/bin/python', '-m', 'lsp_server'];
    const found = await findServer(machine({ [setting.join(' ')]: 'fimble 0.2.0', [ON_PATH]: 'fimble 0.1.0' }, { setting }));
    expect(found).toEqual({ command: setting, place: 'setting', version: '0.2.0' });
  });

  it('is none, rather than another one, if what the setting names does not run', async () => {
    const found = await findServer(machine({ [ON_PATH]: 'fimble 0.1.0' }, { setting: ['/gone'] }));
    expect(found).toEqual({ problems: ['fimble.server.command: /gone does not run: ENOENT'] });
  });

  it.each([
    [{ [ON_PATH]: 'fimble 0.1.0', [OF_OWN]: 'fimble 0.1.0' }, ON_PATH, 'path'],
    [{ [OF_OWN]: 'fimble 0.1.0', [OF_PIPX]: 'fimble 0.1.0' }, OF_OWN, 'own'],
    [{ [OF_PIPX]: 'fimble 0.1.0' }, OF_PIPX, 'tool'],
  ])('is looked for on the path, in our own folder, and where tools are installed: %j', async (programs, program, place) => {
    expect(await findServer(machine(programs))).toEqual({ command: [program], place, version: '0.1.0' });
  });

  it('is the next one if the first does not run, as a broken environment does not', async () => {
    const found = await findServer(machine({ [ON_PATH]: 'no torch', [OF_OWN]: 'fimble 0.1.0' }));
    expect(found).toMatchObject({ place: 'own' });
  });

  it('is missing with a reason if the only one does not run', async () => {
    const found = await findServer(machine({ [ON_PATH]: 'no torch' }));
    expect(isMissing(found) && found.problems).toEqual([`${ON_PATH} does not run: no torch`]);
  });

  it('is not something else of that name that tells no version', async () => {
    const found = await findServer(machine({ [ON_PATH]: 'fimble what?' }));
    expect(isMissing(found) && found.problems[0]).toContain('is not fimble');
  });

  it('is never looked for in a folder that a relative path names', async () => {
    const found = await findServer(machine({ 'bin/fimble': 'fimble 0.1.0' }, { pathVariable: 'bin:.', ownFolder: '' }));
    expect(found).toEqual({ problems: [] });
  });
});

describe('another version of the server', () => {
  const wheel = 'fimble-0.2.0-py3-none-any.whl';

  it.each([
    ['own', '0.1.0', wheel, '0.2.0'],
    ['own', '0.2.0', wheel, undefined],
    ['path', '0.1.0', wheel, undefined],
    ['own', '0.1.0', undefined, undefined],
  ] as [Place, string, string | undefined, string | undefined][])(
    'is at hand where ours, at %s, is %s and the extension came with %s: %s',
    (place, version, shipped, update) => {
      expect(updateFor({ command: ['fimble'], place, version }, shipped)).toBe(update);
    },
  );
});
