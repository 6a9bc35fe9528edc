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
import type { Tree } from '../settings';
import { FimbleCapabilities } from './capabilities';
import type { ServerStatus } from '../status/state';

/** Documents of files, of notebooks, without a file yet, and of folders that are not on a disk. */
const SCHEMES = ['file', 'untitled', 'vscode-notebook-cell', 'vscode-vfs'];

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

/** Starts the server; rejects if it cannot be started or does not answer as one. */
export async function connect(options: ConnectionOptions): Promise<LanguageClient> {
  const process = await spawned(options);
  const client = new QuietClient('fimble', 'fimble', () => Promise.resolve(process), clientOptions(options));
  client.registerFeature(new FimbleCapabilities());
  client.onNotification('fimble/status', (status: ServerStatus) => {
    options.onStatus(status);
  });
  client.onNotification(ShowMessageNotification.type, (message) => {
    options.onMessage(message);
  });
  try {
    await client.start();
  } catch (error) {
    process.kill();
    throw error;
  }
  return client;
}

/** Returns the process once it runs: a program that is not there is our error, not the library's. */
function spawned({ command, variables }: ConnectionOptions): Promise<ChildProcess> {
  const [program = '', ...words] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, {
      env: { ...process.env, ...variables },
      stdio: ['pipe', 'pipe', 'pipe'],
      windowsHide: true,
    });
    child.once('error', reject);
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
