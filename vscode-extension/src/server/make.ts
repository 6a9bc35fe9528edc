// Makes the server's environment: runs the plan step by step. Nothing here knows VS Code.
import type { Ended, Run } from '../programs';
import { programIn } from './locate';
import { planInstallation, type Step, type Wish } from './plan';

/** An installation that did not come to its end; the message says why. */
export class InstallationError extends Error {}

/** Somebody took the installation back. */
export class TakenBackError extends Error {}

export interface Making {
  readonly run: Run;
  /** Variables for the programs, such as the proxy. */
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly onStep: (title: string, command: string) => void;
  readonly onLine: (line: string) => void;
}

/**
 * Makes the environment of `wish` and tries the server in it.
 *
 * @throws InstallationError if a step failed, and TakenBackError; programs have ended by then.
 */
export async function makeEnvironment(wish: Wish, making: Making): Promise<void> {
  const works = [programIn(wish.folder, 'fimble', wish.platform), '--version'];
  for (const step of [...planInstallation(wish), { title: 'trying the server', command: works }]) {
    await take(step, making);
  }
}

async function take({ title, command }: Step, { run, env, signal, onStep, onLine }: Making): Promise<void> {
  onStep(title, withoutPasswords(command.join(' ')));
  const ended = await run(command, { env, signal, onLine: (line) => { onLine(withoutPasswords(line)); } });
  if (signal.aborted) {
    throw new TakenBackError('taken back');
  }
  if (ended.code !== 0) {
    throw new InstallationError(`${title} failed: ${withoutPasswords(complaintOf(ended))}`);
  }
}

/** Returns the line that says best what was wrong: the last that calls itself an error. */
function complaintOf({ output, errors }: Ended): string {
  const lines = `${output}\n${errors}`.trim().split('\n');
  const line = lines.findLast((each) => /^\s*error\b/i.test(each)) ?? lines.at(-1) ?? '';
  return line.trim().replace(/\.$/, '');
}

/** Returns a text in which addresses of indexes and proxies name nobody; it goes to the log. */
export function withoutPasswords(text: string): string {
  return text.replace(/(\w:\/\/)[^/@\s]+@/g, '$1***@');
}
