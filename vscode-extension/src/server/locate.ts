// Where the server is: what the user named, what is on the path, what we or pipx or uv installed.
import * as path from 'node:path';
import { candidatesOnPath } from '../programs';

export type Place = 'setting' | 'path' | 'own' | 'tool';

export interface Server {
  readonly command: readonly string[];
  readonly place: Place;
  readonly version: string;
}

/** There is none that works; `problems` says what was wrong with those that were found. */
export interface Missing {
  readonly problems: readonly string[];
}

/** The machine, as far as the search has to know it. */
export interface Machine {
  readonly setting: readonly string[];
  readonly pathVariable: string;
  readonly home: string;
  /** The folder of the environment that this extension has made; empty if it has made none. */
  readonly ownFolder: string;
  readonly platform: NodeJS.Platform;
  isProgram(file: string): Promise<boolean>;
  /** Returns what `fimble --version` says, or throws an error that says why it does not. */
  askVersion(command: readonly string[]): Promise<string>;
}

export function isMissing(found: Server | Missing): found is Missing {
  return 'problems' in found;
}

/**
 * Returns the server to start. A command that the user has set is taken or is the problem; nothing
 * else is started in its place.
 */
export async function findServer(machine: Machine): Promise<Server | Missing> {
  if (machine.setting.length > 0) {
    const found = await tryCommand(machine, machine.setting, 'setting');
    return typeof found === 'string' ? { problems: [`fimble.server.command: ${found}`] } : found;
  }
  const problems: string[] = [];
  for (const [place, files] of candidates(machine)) {
    for (const file of files) {
      if (!(await machine.isProgram(file))) {
        continue;
      }
      const found = await tryCommand(machine, [file], place);
      if (typeof found !== 'string') {
        return found;
      }
      problems.push(found);
    }
  }
  return { problems };
}

/** Returns where the program is in an environment of Python's. */
export function programIn(environment: string, name: string, platform: NodeJS.Platform): string {
  return platform === 'win32'
    ? path.join(environment, 'Scripts', `${name}.exe`)
    : path.join(environment, 'bin', name);
}

/**
 * Returns the version of the wheel that came with the extension if the server in our own environment
 * is of another one, as after an update of the extension; undefined if nothing is to be done.
 */
export function updateFor(server: Server, shippedWheel: string | undefined): string | undefined {
  const shipped = /^fimble-([^-]+)-/.exec(shippedWheel ?? '')?.[1];
  return server.place === 'own' && shipped !== server.version ? shipped : undefined;
}

function candidates(machine: Machine): [Place, string[]][] {
  const { home, platform } = machine;
  const name = platform === 'win32' ? 'fimble.exe' : 'fimble';
  const tools = [
    path.join(home, '.local', 'bin', name), // of pipx and of uv, often not on an editor's path
    programIn(path.join(home, '.local', 'share', 'pipx', 'venvs', 'fimble'), 'fimble', platform),
    programIn(path.join(home, '.local', 'pipx', 'venvs', 'fimble'), 'fimble', platform),
    programIn(path.join(home, '.local', 'share', 'uv', 'tools', 'fimble'), 'fimble', platform),
  ];
  return [
    ['path', candidatesOnPath('fimble', machine.pathVariable, platform)],
    ['own', machine.ownFolder === '' ? [] : [programIn(machine.ownFolder, 'fimble', platform)]],
    ['tool', tools],
  ];
}

async function tryCommand(
  machine: Machine,
  command: readonly string[],
  place: Place,
): Promise<Server | string> {
  try {
    const said = await machine.askVersion(command);
    const version = /\b(\d+\.\d+[\w.+-]*)/.exec(said)?.[1];
    return version === undefined
      ? `${command.join(' ')} is not fimble's server: it told no version`
      : { command, place, version };
  } catch (error) {
    return `${command.join(' ')} does not run: ${error instanceof Error ? error.message : String(error)}`;
  }
}
