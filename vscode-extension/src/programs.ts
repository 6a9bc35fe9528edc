// Running other programs without waiting on the editor's thread.
import { spawn, type ChildProcess } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { homedir } from 'node:os';
import * as path from 'node:path';
import type { Readable } from 'node:stream';

export interface RunOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
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

/**
 * Where programs run: never in the folder from which VS Code was started, for Python imports modules
 * from where it runs, and that may be a folder nobody trusts.
 */
export function workingFolder(): string {
  return homedir();
}

/** Runs a program until it is gone. Never rejects: what went wrong is in `errors`. */
export const run: Run = (command, options = {}) =>
  new Promise((resolve) => {
    let child: ReturnType<typeof start>;
    try {
      child = start(command, options);
    } catch (error) {
      resolve({ code: null, output: '', errors: String(error) });
      return;
    }
    const output = gathered(child.stdout, options.onLine);
    const errors = gathered(child.stderr, options.onLine);
    let trouble = '';
    const end = (code: number | null): void => {
      resolve({ code, output: output(), errors: errors() + trouble });
    };
    child.on('error', (error) => {
      trouble = error.message;
      if (child.pid === undefined) {
        end(null);
      } // else it was told to end, and may still write into its folder until it has
    });
    child.on('close', end);
  });

function start([program = '', ...words]: readonly string[], options: RunOptions) {
  return spawn(program, words, {
    env: { ...process.env, ...options.env },
    cwd: workingFolder(),
    timeout: options.timeoutMs,
    signal: options.signal,
    stdio: ['ignore', 'pipe', 'pipe'],
    windowsHide: true,
  });
}

/** Tells whole lines as they come, and returns what gives all that has come. */
function gathered(stream: Readable, onLine?: (line: string) => void): () => string {
  let all = '';
  let begun = 0;
  const tell = (end: number): void => {
    const lines = all.slice(begun, end).split(/[\r\n]+/).filter((line) => line.trim() !== '');
    lines.forEach((line) => onLine?.(line));
    begun = end;
  };
  stream.setEncoding('utf8').on('data', (part: string) => {
    all += part;
    tell(Math.max(begun, all.lastIndexOf('\n') + 1));
  });
  stream.on('end', () => {
    tell(all.length);
  });
  return () => all;
}

/** Ends a process that does not end by itself: asked after `graceMs`, by force after as long again. */
export function endSoon(child: ChildProcess, graceMs: number): void {
  if (child.exitCode !== null || child.signalCode !== null) {
    return;
  }
  const timers = (['SIGTERM', 'SIGKILL'] as const).map((signal, index) =>
    setTimeout(() => child.kill(signal), graceMs * (index + 1)),
  );
  child.once('exit', () => {
    timers.forEach(clearTimeout);
  });
}

/** Returns the paths at which the system would look for a program, in its order. */
export function candidatesOnPath(program: string, pathVariable: string, platform: NodeJS.Platform): string[] {
  const isWindows = platform === 'win32';
  const name = isWindows ? `${program}.exe` : program;
  const folders = pathVariable.split(isWindows ? ';' : ':').filter((folder) => path.isAbsolute(folder));
  return folders.map((folder) => path.join(folder, name));
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
