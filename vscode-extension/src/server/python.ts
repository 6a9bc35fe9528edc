// A Python to make the server's environment with, or uv, which brings its own.
import * as path from 'node:path';
import { candidatesOnPath, firstProgram, type Run } from '../programs';

export const OLDEST_PYTHON: readonly [number, number] = [3, 11];

/** What makes an environment: `command` is uv, or a Python with the venv module. */
export interface Maker {
  readonly kind: 'uv' | 'python';
  readonly command: readonly string[];
}

export interface PythonSearch {
  /** The Python that the user has named; empty for any. */
  readonly setting: string;
  readonly pathVariable: string;
  readonly home: string;
  readonly platform: NodeJS.Platform;
  readonly run: Run;
  isProgram(file: string): Promise<boolean>;
}

/** Returns what to make the environment with; undefined if there is nothing. */
export async function findMaker(search: PythonSearch): Promise<Maker | undefined> {
  if (search.setting !== '') {
    return (await isNewEnough(search, [search.setting]))
      ? { kind: 'python', command: [search.setting] }
      : undefined;
  }
  const uv = await firstProgram(placesOfUv(search), (file) => search.isProgram(file));
  if (uv !== undefined) {
    return { kind: 'uv', command: [uv] };
  }
  for (const command of pythons(search.platform)) {
    if (await isNewEnough(search, command)) {
      return { kind: 'python', command };
    }
  }
  return undefined;
}

/** An editor that was started from a menu often lacks the folders that a shell adds to its path. */
function placesOfUv({ pathVariable, home, platform }: PythonSearch): string[] {
  const folders = [path.join(home, '.local', 'bin'), path.join(home, '.cargo', 'bin')];
  const separator = platform === 'win32' ? ';' : ':';
  return candidatesOnPath('uv', [pathVariable, ...folders].join(separator), platform);
}

function pythons(platform: NodeJS.Platform): string[][] {
  if (platform === 'win32') {
    return [['py', '-3'], ['python'], ['python3']];
  }
  return [['python3.13'], ['python3.12'], ['python3.11'], ['python3'], ['python3.14'], ['python']];
}

/** Whether a command is a Python that we can use; a shim on the path may be none, or too old. */
async function isNewEnough(search: PythonSearch, command: readonly string[]): Promise<boolean> {
  const [major, minor] = OLDEST_PYTHON;
  const test = `import sys, venv; sys.exit(sys.version_info < (${major}, ${minor}))`;
  const ended = await search.run([...command, '-I', '-c', test], { timeoutMs: 20_000 });
  return ended.code === 0;
}
