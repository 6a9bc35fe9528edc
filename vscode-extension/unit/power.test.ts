import { mkdtemp, mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { describe, expect, it } from 'vitest';
import { isOnBattery } from '../src/battery';
import { proxyVariables } from '../src/network';
import type { Run } from '../src/programs';

const says = (output: string): Run => () => Promise.resolve({ code: 0, output, errors: '' });

async function supplies(files: Record<string, Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'power-'));
  for (const [name, values] of Object.entries(files)) {
    await mkdir(path.join(folder, name));
    for (const [file, text] of Object.entries(values)) {
      await writeFile(path.join(folder, name, file), `${text}\n`);
    }
  }
  return folder;
}

describe('a machine is on battery', () => {
  it.each([
    [{ BAT0: { type: 'Battery', status: 'Discharging' }, AC: { type: 'Mains' } }, true],
    [{ BAT0: { type: 'Battery', status: 'Charging' } }, false],
    [{ mouse: { type: 'Battery', status: 'Discharging', scope: 'Device' } }, false],
    [{}, false],
  ])('on Linux by what discharges: %j', async (files, expected) => {
    const folder = await supplies(files);
    expect(await isOnBattery({ platform: 'linux', run: says(''), folder })).toBe(expected);
  });

  it('on Linux never where nothing describes the power', async () => {
    expect(await isOnBattery({ platform: 'linux', run: says(''), folder: '/does/not/exist' })).toBe(false);
  });

  it.each([
    ["Now drawing from 'Battery Power'\n", true],
    ["Now drawing from 'AC Power'\n", false],
  ])('on macOS by what the system says: %j', async (output, expected) => {
    expect(await isOnBattery({ platform: 'darwin', run: says(output), folder: '' })).toBe(expected);
  });
});

describe('the proxy of VS Code', () => {
  const network = { proxy: 'http://proxy:3128', noProxy: ['localhost', '.example'] };

  it('becomes the variables that other programs read', () => {
    expect(proxyVariables(network, {})).toEqual({
      HTTP_PROXY: 'http://proxy:3128',
      HTTPS_PROXY: 'http://proxy:3128',
      NO_PROXY: 'localhost,.example',
    });
  });

  it('gives way to what the environment says already', () => {
    expect(proxyVariables(network, { https_proxy: 'http://other', NO_PROXY: '*' })).toEqual({ HTTP_PROXY: 'http://proxy:3128' });
  });

  it('adds nothing where there is none', () => {
    expect(proxyVariables({ proxy: ' ', noProxy: ['a'] }, {})).toEqual({});
  });
});
