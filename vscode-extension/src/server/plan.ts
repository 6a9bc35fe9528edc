// The commands that make the server's environment, in order. Nothing is run here.
//
// A proxy is no word of them: by its variables it keeps to what is to be reached without it, and its
// password is in no list of processes.
import type { InstallSettings } from '../configuration';
import { programIn } from './locate';
import type { Maker } from './python';

export interface Step {
  readonly title: string;
  readonly command: readonly string[];
}

export interface Wish {
  readonly maker: Maker;
  /** The folder of the environment; it does not exist yet. */
  readonly folder: string;
  /** What to install: the user's wish, or the wheel that came with the extension. */
  readonly requirement: string;
  readonly settings: Pick<InstallSettings, 'wheelFolder' | 'arguments'>;
  readonly platform: NodeJS.Platform;
}

export function planInstallation(wish: Wish): Step[] {
  return wish.maker.kind === 'uv' ? withUv(wish) : withPip(wish);
}

function withUv({ maker, folder, requirement, settings, platform }: Wish): Step[] {
  const isOffline = settings.wheelFolder !== '';
  const create = [...maker.command, 'venv', '--python', '>=3.11', ...(isOffline ? ['--offline'] : [])];
  // pip is a package like others to uv, and fimble fetches weights with it.
  const install = [...maker.command, 'pip', 'install', '--python', programIn(folder, 'python', platform)];
  return [
    { title: 'making an environment', command: [...create, folder] },
    { title: 'installing', command: [...install, ...source(settings), requirement, 'pip'] },
  ];
}

function withPip({ maker, folder, requirement, settings, platform }: Wish): Step[] {
  const pip = [programIn(folder, 'python', platform), '-I', '-m', 'pip', 'install', '--progress-bar', 'off'];
  const quiet = ['--disable-pip-version-check', '--no-input'];
  return [
    { title: 'making an environment', command: [...maker.command, '-I', '-m', 'venv', folder] },
    { title: 'installing', command: [...pip, ...quiet, ...source(settings), requirement] },
  ];
}

function source({ wheelFolder, arguments: further }: Wish['settings']): string[] {
  return [...(wheelFolder === '' ? [] : ['--no-index', '--find-links', wheelFolder]), ...further];
}

/** Returns what of a line of pip or uv a person wants to see while it works; undefined for nothing. */
export function progressOf(line: string): string | undefined {
  const match = /^\s*(Collecting|Downloading|Using cached|Installing|Building|Preparing|Resolved|Prepared|Downloaded)\s+(.+)$/.exec(line);
  if (match === null) {
    return undefined;
  }
  const what = (match[2] ?? '').replace(/https?:\/\/\S*\/([^/\s]+)/, '$1');
  const text = `${(match[1] ?? '').toLowerCase()} ${what}`;
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}
