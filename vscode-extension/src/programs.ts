// Running other programs without waiting on the editor's thread.
import { spawn } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import * as path from 'node:path';

export interface RunOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly timeoutMs?: number;
  readonly onLine?: (line: string) => void;
  /** Ends the program when it is aborted. */
  readonly signal?: AbortSignal;
}

/** What became of a program; `code` is null if it did not end by itself or could not start. */
export interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

export type Run = (command: readonly string[], options?: RunOptions) => Promise<Ended>;

/** Runs a program to its end. Never rejects: what went wrong is in `errors`. */
export const run: Run = (command, options = {}) =>
  new Promise((resolve) => {
    const [program = '', ...words] = command;
    const child = spawn(program, words, {
      env: { ...process.env, ...options.env },
      cwd: options.cwd,
      timeout: options.timeoutMs,
      signal: options.signal,
      stdio: ['ignore', 'pipe', 'pipe'],
      windowsHide: true,
    });
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      output += part;
      emitLines(part, options.onLine);
    });
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      errors += part;
      emitLines(part, options.onLine);
    });
    child.on('error', (error) => {
      resolve({ code: null, output, errors: errors + error.message });
    });
    child.on('close', (code) => {
      resolve({ code, output, errors });
    });
  });

function emitLines(part: string, onLine?: (line: string) => void): void {
  if (onLine !== undefined) {
    part.split(/\r?\n/).filter((line) => line.trim() !== '').forEach(onLine);
  }
}

/** Returns the paths at which the system would look for a program, in its order. */
export function candidatesOnPath(program: string, pathVariable: string, platform: NodeJS.Platform): string[] {
  const isWindows = platform === 'win32';
  const names = isWindows ? [`${program}.exe`, `${program}.cmd`] : [program];
  const folders = pathVariable.split(isWindows ? ';' : ':').filter((folder) => path.isAbsolute(folder));
  return folders.flatMap((folder) => names.map((name) => path.join(folder, name)));
}

export async function isProgram(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Returns the first of `files` that can be run. */
export async function firstProgram(
  files: readonly string[],
  check: (file: string) => Promise<boolean> = isProgram,
): Promise<string | undefined> {
  for (const file of files) {
    if (await check(file)) {
      return file;
    }
  }
  return undefined;
}
