// What the status bar says, from everything that bears on it. Nothing here knows VS Code.

/** The server's notification `fimble/status`. */
export interface ServerStatus {
  readonly state: 'starting' | 'downloading' | 'loading' | 'ready' | 'error';
  readonly message: string;
  readonly fraction: number | null;
}

export type State =
  | 'missing'
  | 'installing'
  | 'starting'
  | 'downloading'
  | 'loading'
  | 'ready'
  | 'thinking'
  | 'paused'
  | 'disabled'
  | 'error';

/** The server's process, as this window has it. */
export type Process =
  | { readonly kind: 'missing'; readonly problems: readonly string[] }
  | { readonly kind: 'installing' }
  | { readonly kind: 'starting' }
  | { readonly kind: 'running' }
  | { readonly kind: 'failing'; readonly reason: string };

export interface Situation {
  readonly process: Process;
  readonly server: ServerStatus | undefined;
  /** What the server complained about last; empty after it has worked again. */
  readonly complaint: string;
  readonly isThinking: boolean;
  /** When the pause ends, in words; undefined without a pause. */
  readonly pausedUntil: string | undefined;
  /** What is switched off and concerns the document in view, such as `python` or `everywhere`. */
  readonly disabled: string | undefined;
  readonly isSparing: boolean;
}

export interface Shown {
  readonly state: State;
  readonly text: string;
  readonly tooltip: string;
  readonly isError: boolean;
  /** The command behind a click. */
  readonly command: string;
}

const MENU = 'fimble.menu';
/** It does not turn: the editor would draw it anew many times a second, just when ghost text is due. */
const THINKING = '$(ellipsis) fimble';

export function describe(situation: Situation): Shown {
  return (
    troubleOf(situation) ?? choiceOf(situation) ?? progressOf(situation) ?? working(situation)
  );
}

function troubleOf({ process, server, complaint }: Situation): Shown | undefined {
  if (process.kind === 'missing') {
    const found = process.problems.length > 0 ? `\n\n${process.problems.join('\n\n')}` : '';
    const tooltip = `The server is not installed. Click to install it.${found}`;
    return { state: 'missing', text: '$(warning) fimble: install', tooltip, isError: false, command: 'fimble.installServer' };
  }
  const reason = process.kind === 'failing' ? process.reason : server?.state === 'error' ? server.message : complaint;
  if (reason === '' || process.kind === 'installing') {
    return undefined;
  }
  const tooltip = `No suggestions: ${reason}\n\nClick for what can be done.`;
  return { state: 'error', text: '$(error) fimble', tooltip, isError: true, command: MENU };
}

function choiceOf({ pausedUntil, disabled }: Situation): Shown | undefined {
  if (pausedUntil !== undefined) {
    const tooltip = `Paused ${pausedUntil}. Click to go on.`;
    return { state: 'paused', text: '$(debug-pause) fimble', tooltip, isError: false, command: 'fimble.resume' };
  }
  if (disabled !== undefined) {
    const tooltip = `Suggestions are switched off: ${disabled}.`;
    return { state: 'disabled', text: '$(circle-slash) fimble', tooltip, isError: false, command: MENU };
  }
  return undefined;
}

function progressOf({ process, server }: Situation): Shown | undefined {
  if (process.kind === 'installing') {
    return busy('installing', 'installing the server', '');
  }
  if (process.kind === 'starting' || server === undefined || server.state === 'starting') {
    return busy('starting', 'starting', '');
  }
  if (server.state === 'downloading' || server.state === 'loading') {
    return busy(server.state, server.message, percent(server.fraction));
  }
  return undefined;
}

function busy(state: State, message: string, detail: string): Shown {
  const text = `$(loading~spin) fimble: ${state}${detail}`;
  return { state, text, tooltip: `${message}${detail}`, isError: false, command: MENU };
}

function working({ isThinking, isSparing }: Situation): Shown {
  const saver = isSparing ? ' Battery saver is on.' : '';
  if (isThinking) {
    return { state: 'thinking', text: THINKING, tooltip: `Thinking.${saver}`, isError: false, command: MENU };
  }
  return { state: 'ready', text: '$(zap) fimble', tooltip: `Ready.${saver}`, isError: false, command: MENU };
}

/** Returns a fraction as whole per cent with a blank before it; nothing if it is not known. */
export function percent(fraction: number | null): string {
  if (fraction === null || !Number.isFinite(fraction)) {
    return '';
  }
  return ` ${Math.floor(Math.min(1, Math.max(0, fraction)) * 100)} %`;
}
