import { chmod, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { describe, expect, it } from 'vitest';
import { isProgram, run } from '../src/programs';
import { InstallationError, makeEnvironment, TakenBackError, withoutPasswords } from '../src/server/make';
import type { Wish } from '../src/server/plan';
import { findMaker, type Maker } from '../src/server/python';

/** Does of uv's work what can be seen from outside, and notes how it was called. */
const FAKE_UV = `#!/bin/sh
echo "$HTTPS_PROXY $*" >> "$(dirname "$0")/calls"
if [ "$1" = venv ]; then
  for folder; do :; done
  mkdir -p "$folder/bin"
elif [ "$5" = nothing ]; then
  echo "error: there is no nothing at https://me:secret@wheels.example/wheels" >&2
  echo "hint: look elsewhere." >&2
  exit 2
elif [ "$5" = everything ]; then
  echo $$ > "$(dirname "$0")/pid"
  echo "Downloading torch (180 MB)" >&2
  exec sleep 100
else
  printf '#!/bin/sh\\necho fimble 1.2.3\\n' > "$(dirname "$4")/fimble"
  chmod +x "$(dirname "$4")/fimble"
  printf 'Resolved 12 packages in 3ms\\nInstalled 12 packages' >&2
fi
`;

interface Trial {
  readonly folder: string;
  readonly lines: string[];
  readonly made: Promise<void>;
  readonly abort: AbortController;
  readonly read: (name: string) => Promise<string>;
}

async function trial(requirement: string, onLine: (line: string) => void = () => undefined): Promise<Trial> {
  const folder = await mkdtemp(path.join(tmpdir(), 'made-'));
  await writeFile(path.join(folder, 'uv'), FAKE_UV);
  await chmod(path.join(folder, 'uv'), 0o755);
  const { platform } = process;
  const maker = await findMaker({ setting: '', pathVariable: folder, home: folder, platform, run, isProgram });
  const settings = { wheelFolder: '', arguments: [] };
  const wish: Wish = { maker: maker as Maker, folder: path.join(folder, 'env'), requirement, settings, platform };
  const lines: string[] = [];
  const abort = new AbortController();
  const made = makeEnvironment(wish, {
    run,
    env: { HTTPS_PROXY: 'http://proxy' },
    signal: abort.signal,
    onStep: (title) => lines.push(title),
    onLine: (line) => {
      lines.push(line);
      onLine(line);
    },
  });
  return { folder, lines, made, abort, read: (name) => readFile(path.join(folder, name), 'utf8') };
}

describe('an environment made with uv', () => {
  it('has a server in it that runs, and says on the way what is done', async () => {
    const { made, lines, folder, read } = await trial('fimble.whl');
    await made;
    expect((await run([path.join(folder, 'env/bin/fimble'), '--version'])).output).toBe('fimble 1.2.3\n');
    expect(lines).toEqual([
      'making an environment',
      'installing',
      'Resolved 12 packages in 3ms',
      'Installed 12 packages',
      'trying the server',
      'fimble 1.2.3',
    ]);
    expect((await read('calls')).replaceAll(folder, '').split('\n')).toEqual([
      'http://proxy venv --python >=3.11 /env',
      'http://proxy pip install --python /env/bin/python fimble.whl pip',
      '',
    ]);
  });

  it('fails with what the program calls its error, without the password in them', async () => {
    const { made } = await trial('nothing');
    const expected = 'installing failed: error: there is no nothing at https://***@wheels.example/wheels';
    await expect(made).rejects.toThrow(new InstallationError(expected));
  });

  it('is given up when it is taken back, and nothing works on it any longer by then', async () => {
    const { made, abort, read } = await trial('everything', () => {
      abort.abort();
    });
    await expect(made).rejects.toThrow(TakenBackError);
    const pid = Number(await read('pid'));
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });
});

describe('what goes to the log', () => {
  it.each([
    ['pip install --find-links https://me:secret@wheels.example/all x', 'pip install --find-links https://***@wheels.example/all x'],
    ['see https://wheels.example/a@b', 'see https://wheels.example/a@b'],
    ['mail@example', 'mail@example'],
  ])('names nobody: %j', (text, shown) => {
    expect(withoutPasswords(text)).toBe(shown);
  });
});
