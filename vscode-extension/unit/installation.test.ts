import { describe, expect, it } from 'vitest';
import type { Ended } from '../src/programs';
import { planInstallation, progressOf, type Wish } from '../src/server/plan';
import { findMaker, type PythonSearch } from '../src/server/python';

const NEW_ENOUGH: Ended = { code: 0, output: '', errors: '' };
const TOO_OLD: Ended = { code: 1, output: '', errors: '' };

function search(changes: Partial<PythonSearch>, works: readonly string[] = []): PythonSearch {
  return {
    setting: '',
    pathVariable: '/usr/bin',
    home: '/people/me',
    platform: 'linux',
    run: (command) => Promise.resolve(works.includes(command[0] ?? '') ? NEW_ENOUGH : TOO_OLD),
    isProgram: () => Promise.resolve(false),
    ...changes,
  };
}

describe('what makes the environment', () => {
  it('is uv where there is one, whatever Python there is', async () => {
    const maker = await findMaker(search({ isProgram: (file) => Promise.resolve(file === '/usr/bin/uv') }, ['python3']));
    expect(maker).toEqual({ kind: 'uv', command: ['/usr/bin/uv'] });
  });

  it('is uv also where an editor that was not started from a shell does not look', async () => {
    const own = '/people/me/.local/bin/uv';
    expect(await findMaker(search({ isProgram: (file) => Promise.resolve(file === own) }))).toEqual({ kind: 'uv', command: [own] });
  });

  it('is the first Python that is new enough', async () => {
    expect(await findMaker(search({}, ['python3.11', 'python3']))).toEqual({ kind: 'python', command: ['python3.11'] });
  });

  it('is the Python of the setting, or nothing', async () => {
    expect(await findMaker(search({ setting: '/opt/python' }, ['/opt/python']))).toMatchObject({ command: ['/opt/python'] });
    expect(await findMaker(search({ setting: '/opt/python' }, ['python3']))).toBeUndefined();
  });

  it('is nothing where every Python is too old', async () => {
    expect(await findMaker(search({}))).toBeUndefined();
  });
});

function commands(changes: Partial<Wish>): string[] {
  const wish: Wish = {
    maker: { kind: 'python', command: ['python3'] },
    folder: '/storage/server-1',
    requirement: '/extension/server/fimble.whl',
    settings: { wheelFolder: '', arguments: [] },
    platform: 'linux',
    ...changes,
  };
  return planInstallation(wish).map((step) => step.command.join(' '));
}

describe('the installation', () => {
  it('makes an environment and installs into it with its own pip', () => {
    const [create, install] = commands({});
    expect(create).toBe('python3 -I -m venv /storage/server-1');
    expect(install).toMatch(/^\/storage\/server-1\/bin\/python -I -m pip install .* \/extension\/server\/fimble.whl$/);
  });

  it.each([
    { kind: 'python', command: ['python3'] },
    { kind: 'uv', command: ['uv'] },
  ] as const)('asks no index where there is a folder of wheels, with $kind', (maker) => {
    const install = commands({ maker, settings: { wheelFolder: '/wheels', arguments: [] } })[1];
    expect(install).toContain(' --no-index --find-links /wheels ');
  });

  it('lets uv fetch no Python where there is a folder of wheels', () => {
    const maker = { kind: 'uv', command: ['uv'] } as const;
    expect(commands({ maker, settings: { wheelFolder: '/wheels', arguments: [] } })[0]).toContain('--offline');
  });

  it('passes on further arguments', () => {
    const settings = { wheelFolder: '', arguments: ['--proxy', 'http://proxy.example'] };
    expect(commands({ settings })[1]).toContain('--proxy http://proxy.example');
  });

  it('finds the programs of an environment on Windows', () => {
    expect(commands({ platform: 'win32' })[1]).toContain('Scripts');
  });
});

describe('what is shown of an installation', () => {
  it.each([
    ['Collecting torch>=2.8', 'collecting torch>=2.8'],
    ['  Downloading https://wheels.example/a/b/torch-2.8-cp311.whl (180 MB)', 'downloading torch-2.8-cp311.whl (180 MB)'],
    ['Installing collected packages: mpmath, torch', 'installing collected packages: mpmath, torch'],
    ['[notice] A new release of pip is available', undefined],
    ['', undefined],
  ])('of %j is %j', (line, shown) => {
    expect(progressOf(line)).toBe(shown);
  });

  it('is never longer than a notification has room for', () => {
    expect(progressOf(`Installing ${'package, '.repeat(99)}`)).toHaveLength(80);
  });
});
