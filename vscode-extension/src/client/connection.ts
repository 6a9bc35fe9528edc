// One process of the server and the language client in front of it, from start to end.
import { spawn, type ChildProcess } from 'node:child_process';
import * as vscode from 'vscode';
import {
  CloseAction,
  ErrorAction,
  LanguageClient,
  RevealOutputChannelOn,
  ShowMessageNotification,
  type LanguageClientOptions,
  type Middleware,
  type ShowMessageParams,
} from 'vscode-languageclient/node';
import { endSoon, workingFolder } from '../programs';
import type { Tree } from '../settings';
import { FimbleCapabilities } from './capabilities';
import type { ServerStatus } from '../status/state';

/** Documents of files, of notebooks, without a file yet, and of folders that are not on a disk. */
const SCHEMES = ['file', 'untitled', 'vscode-notebook-cell', 'vscode-vfs'];
/** A server that has not answered by then never will. */
const START_TIMEOUT_MS = 120_000;
/** How long a process may take to end once it has been told to. */
const GRACE_MS = 2000;

export interface ConnectionOptions {
  readonly command: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
  readonly settings: Tree;
  readonly middleware: Middleware;
  readonly log: vscode.LogOutputChannel;
  onStatus(status: ServerStatus): void;
  onMessage(message: ShowMessageParams): void;
  /** The server has gone away without having been told to. */
  onDied(): void;
}

/** Never shows a notification of its own: what goes wrong is in the log and in the status bar. */
class QuietClient extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }
}

/** A server that answers. */
export interface Connection {
  readonly client: LanguageClient;
  /** Ends the server, by force if it does not listen; rejects if that was needed. */
  stop(): Promise<void>;
}

/**
 * Starts the server; rejects if it cannot be started or does not answer as one, and if `signal` says
 * meanwhile that it is wanted no longer. What was started has then been ended.
 */
export async function connect(options: ConnectionOptions, signal: AbortSignal): Promise<Connection> {
  const server = await spawned(options);
  const client = newClient(options, server);
  const giveUp = (): void => {
    endSoon(server, 0);
  };
  const overdue = setTimeout(giveUp, START_TIMEOUT_MS);
  signal.addEventListener('abort', giveUp);
  try {
    signal.throwIfAborted();
    await client.start();
  } catch (error) {
    giveUp();
    throw error;
  } finally {
    clearTimeout(overdue);
    signal.removeEventListener('abort', giveUp);
  }
  return {
    client,
    stop: () =>
      client.stop().finally(() => {
        endSoon(server, GRACE_MS);
      }),
  };
}

function newClient(options: ConnectionOptions, server: ChildProcess): LanguageClient {
  const client = new QuietClient('fimble', 'fimble', () => Promise.resolve(server), clientOptions(options));
  client.registerFeature(new FimbleCapabilities());
  client.onNotification('fimble/status', (status: ServerStatus) => {
    options.onStatus(status);
  });
  client.onNotification(ShowMessageNotification.type, (message) => {
    options.onMessage(message);
  });
  return client;
}

/** Returns the process once it runs: a program that is not there is our error, not the library's. */
function spawned({ command, variables }: ConnectionOptions): Promise<ChildProcess> {
  const [program = '', ...words] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, {
      env: { ...process.env, ...variables },
      cwd: workingFolder(),
      stdio: ['pipe', 'pipe', 'pipe'],
      windowsHide: true,
    });
    // Also for what comes later, such as a signal that could not be sent: the promise ignores it.
    child.on('error', reject);
    // What is written to one that has just died; that it has is heard of elsewhere.
    child.stdin.on('error', () => undefined);
    child.once('spawn', () => {
      resolve(child);
    });
  });
}

function clientOptions(options: ConnectionOptions): LanguageClientOptions {
  let hasDied = false;
  return {
    documentSelector: SCHEMES.map((scheme) => ({ scheme })),
    initializationOptions: options.settings,
    middleware: options.middleware,
    outputChannel: options.log,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    initializationFailedHandler: () => false,
    errorHandler: {
      error: () => ({ action: ErrorAction.Continue, handled: true }),
      closed: () => {
        if (!hasDied) {
          hasDied = true;
          options.onDied();
        }
        return { action: CloseAction.DoNotRestart, handled: true };
      },
    },
  };
}
