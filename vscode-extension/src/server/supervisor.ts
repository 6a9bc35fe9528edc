// Keeps one server running for this window: finds it, starts it, and starts it again when it dies.
import { homedir } from 'node:os';
import * as vscode from 'vscode';
import type { LanguageClient, Middleware, ShowMessageParams } from 'vscode-languageclient/node';
import { connect, type Connection, type ConnectionOptions } from '../client/connection';
import { readServerSettings, serverCommandSetting, wantsStandalone } from '../configuration';
import { proxyVariables } from '../network';
import { isProgram, run } from '../programs';
import { sparing, takesBack, type SentSettings, type Tree } from '../settings';
import type { Process, ServerStatus } from '../status/state';
import { Backoff } from './backoff';
import { findServer, isMissing, type Missing, type Server } from './locate';
import { editorsNetwork } from './ownEnvironment';

/** Python with torch behind a cold disk takes its time. */
const VERSION_TIMEOUT_MS = 60_000;
/** So many deaths in a row are worth the status bar's red; fewer pass as starting. */
const ALARMING = 3;

export interface Surroundings {
  readonly middleware: Middleware;
  readonly log: vscode.LogOutputChannel;
  ownFolder(): string;
  isSparing(): boolean;
  onProcess(process: Process): void;
  /** A server was found, and is about to be started. */
  onFound(server: Server): void;
  onStatus(status: ServerStatus): void;
  onMessage(message: ShowMessageParams): void;
}

export class Supervisor {
  private connection: Connection | undefined;
  /** Ends the process that is being started. */
  private starting = new AbortController();
  private version: string | undefined;
  private sent: SentSettings = { message: {}, variables: {} };
  private initial: Tree = {};
  private timer: NodeJS.Timeout | undefined;
  /** Counts starts; what belongs to an earlier one is out of date. */
  private generation = 0;
  /** The start that still looks for a server. */
  private searching = 0;
  private readonly backoff = new Backoff();

  constructor(private readonly around: Surroundings) {}

  /** The client, while the server runs. */
  get running(): LanguageClient | undefined {
    const client = this.connection?.client;
    return client?.isRunning() === true ? client : undefined;
  }

  /** The version of the server that was started last. */
  get serverVersion(): string | undefined {
    return this.version;
  }

  /** Starts afresh, as if nothing had ever failed. */
  async restart(): Promise<void> {
    this.backoff.reset();
    await this.start();
  }

  async start(): Promise<void> {
    const generation = await this.retire();
    if (generation !== this.generation) {
      return; // somebody else began anew while the old one ended
    }
    this.around.onProcess({ kind: 'starting' });
    this.searching = generation;
    const found = await this.find();
    if (generation !== this.generation) {
      return;
    }
    this.searching = 0;
    if (isMissing(found)) {
      this.around.onProcess({ kind: 'missing', problems: found.problems });
      return;
    }
    this.around.onFound(found);
    await this.launch(found, generation);
  }

  async stop(): Promise<void> {
    await this.retire();
  }

  /** Sends the settings as they are now; a new process is needed for some changes. */
  async settingsChanged(): Promise<void> {
    if (this.searching === this.generation) {
      return; // what is found will be started with them
    }
    const settings = this.currentSettings();
    const needsProcess =
      JSON.stringify(settings.variables) !== JSON.stringify(this.sent.variables) ||
      takesBack(this.initial, settings.message);
    if (needsProcess || this.running === undefined) {
      await this.restart();
    } else if (JSON.stringify(settings.message) !== JSON.stringify(this.sent.message)) {
      this.sent = settings;
      const params = { settings: { fimble: settings.message } };
      await this.running.sendNotification('workspace/didChangeConfiguration', params).catch((error: unknown) => {
        // It has just died, and the next one starts with them.
        this.around.log.debug(`settings not sent: ${String(error)}`);
      });
    }
  }

  private async launch(server: Server, generation: number): Promise<void> {
    this.sent = this.currentSettings();
    this.initial = this.sent.message;
    this.version = server.version;
    const standalone = wantsStandalone() ? ['--standalone'] : [];
    const command = [...server.command, 'lsp', '--stdio', ...standalone];
    this.around.log.info(`starting fimble ${server.version}: ${command.join(' ')}`);
    const isCurrent = (): boolean => generation === this.generation;
    this.backoff.started(Date.now());
    this.starting = new AbortController();
    try {
      const connection = await connect(this.connectionOptions(command, isCurrent), this.starting.signal);
      if (isCurrent()) {
        this.connection = connection;
        this.around.onProcess({ kind: 'running' });
      } else {
        await connection.stop();
      }
    } catch (error) {
      if (isCurrent()) {
        this.again(error instanceof Error ? error.message : String(error));
      }
    }
  }

  private connectionOptions(command: readonly string[], isCurrent: () => boolean): ConnectionOptions {
    return {
      command,
      variables: { ...proxyVariables(editorsNetwork(), process.env), ...this.sent.variables },
      settings: this.sent.message,
      middleware: this.around.middleware,
      log: this.around.log,
      onStatus: (status) => {
        if (isCurrent()) {
          this.around.onStatus(status);
        }
      },
      onMessage: (message) => {
        if (isCurrent()) {
          this.around.onMessage(message);
        }
      },
      onDied: () => {
        if (isCurrent()) {
          this.again('the server has ended');
        }
      },
    };
  }

  /** Plans the next start, later each time. */
  private again(reason: string): void {
    this.generation += 1; // what else the dead one causes is not counted again
    this.connection = undefined;
    const delayMs = this.backoff.died(Date.now());
    this.around.log.warn(`${reason}; starting again in ${delayMs / 1000} s`);
    const isAlarming = this.backoff.numFailures >= ALARMING;
    this.around.onProcess(isAlarming ? { kind: 'failing', reason } : { kind: 'starting' });
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.start(), delayMs);
  }

  /** Ends what runs and what is planned, and returns the number of the generation that may begin. */
  private async retire(): Promise<number> {
    clearTimeout(this.timer);
    this.generation += 1;
    const generation = this.generation;
    this.starting.abort();
    const connection = this.connection;
    this.connection = undefined;
    try {
      await connection?.stop();
    } catch (error) {
      this.around.log.warn(`the server did not stop by itself: ${String(error)}`);
    }
    return generation;
  }

  private currentSettings(): SentSettings {
    const settings = readServerSettings();
    return this.around.isSparing() ? { ...settings, message: sparing(settings.message) } : settings;
  }

  private find(): Promise<Server | Missing> {
    return findServer({
      setting: serverCommandSetting(),
      pathVariable: process.env['PATH'] ?? '',
      home: homedir(),
      ownFolder: this.around.ownFolder(),
      platform: process.platform,
      isProgram,
      askVersion: async (command) => {
        const ended = await run([...command, '--version'], { timeoutMs: VERSION_TIMEOUT_MS });
        if (ended.code !== 0) {
          throw new Error(ended.errors.trim().split('\n').at(-1) ?? `exit code ${ended.code ?? 'none'}`);
        }
        return ended.output;
      },
    });
  }
}
