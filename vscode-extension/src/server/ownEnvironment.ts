// The environment that this extension makes for the server, in its own folder on this machine.
import { readdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { installSettings } from '../configuration';
import { proxyVariables, type Network } from '../network';
import { isProgram, run } from '../programs';
import { programIn } from './locate';
import { InstallationError, makeEnvironment } from './make';
import { progressOf, type Wish } from './plan';
import { findMaker, type Maker } from './python';

const STATE_KEY = 'environment';
const STOP_TIMEOUT_MS = 30_000;

/** There is no Python to install with. */
export class NoPythonError extends InstallationError {
  constructor(setting: string) {
    super(
      setting === ''
        ? 'there is neither uv nor a Python 3.11 or later with the venv module'
        : `fimble.install.python: ${setting} is no Python 3.11 or later with the venv module`,
    );
  }
}

export class OwnEnvironment {
  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  /** The folder of the environment that works; empty if there is none. */
  get folder(): string {
    return this.context.globalState.get<string>(STATE_KEY, '');
  }

  /**
   * Makes a new environment, shows how far it is, and takes it into use once it works. Returns the
   * folder of the former one, which is in use until then and is to be discarded; empty for none.
   */
  async install(): Promise<string> {
    const wish = await this.wish();
    try {
      await this.make(wish);
    } catch (error) {
      await this.remove(wish.folder);
      throw error;
    }
    const former = this.folder;
    await this.context.globalState.update(STATE_KEY, wish.folder);
    return former;
  }

  /** Removes an environment, and first ends the background process that may run from it. */
  async discard(folder: string): Promise<void> {
    if (folder !== '') {
      await run([programIn(folder, 'fimble', process.platform), 'daemon', 'stop'], { timeoutMs: STOP_TIMEOUT_MS });
      await this.remove(folder);
    }
  }

  private async wish(): Promise<Wish> {
    const settings = installSettings();
    return {
      maker: await maker(settings.python),
      requirement: settings.requirement || (await this.shipped()),
      folder: await this.newFolder(),
      settings,
      platform: process.platform,
    };
  }

  private async make(wish: Wish): Promise<void> {
    const options = { location: vscode.ProgressLocation.Notification, title: 'fimble', cancellable: true };
    await vscode.window.withProgress(options, async (progress, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => {
        abort.abort();
      });
      await makeEnvironment(wish, {
        run,
        env: proxyVariables(editorsNetwork(), process.env),
        signal: abort.signal,
        onStep: (title, command) => {
          this.log.info(`${title}: ${command}`);
          progress.report({ message: title });
        },
        onLine: (line) => {
          this.log.info(line);
          const message = progressOf(line);
          if (message !== undefined) {
            progress.report({ message });
          }
        },
      });
    });
  }

  /** What cannot be removed is a waste of space, and nothing that a person has to read. */
  private async remove(folder: string): Promise<void> {
    try {
      await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    } catch (error) {
      this.log.warn(`${folder} could not be removed: ${String(error)}`);
    }
  }

  /** Returns the name of the wheel that was packed with this extension, which fits its version. */
  async shippedWheel(): Promise<string | undefined> {
    const files = await readdir(this.wheels).catch(() => []);
    return files.find((file) => file.endsWith('.whl'));
  }

  private async shipped(): Promise<string> {
    const wheel = await this.shippedWheel();
    if (wheel === undefined) {
      throw new InstallationError('this build of the extension holds no server; set fimble.install.requirement');
    }
    return path.join(this.wheels, wheel);
  }

  private get wheels(): string {
    return vscode.Uri.joinPath(this.context.extensionUri, 'server').fsPath;
  }

  /** Environments cannot be moved, so a new one has a new place. */
  private async newFolder(): Promise<string> {
    const storage = this.context.globalStorageUri;
    await vscode.workspace.fs.createDirectory(storage);
    return path.join(storage.fsPath, `server-${Date.now()}`);
  }
}

async function maker(setting: string): Promise<Maker> {
  const found = await findMaker({
    setting,
    pathVariable: process.env['PATH'] ?? '',
    home: homedir(),
    platform: process.platform,
    run,
    isProgram,
  });
  if (found === undefined) {
    throw new NoPythonError(setting);
  }
  return found;
}

/** Returns the proxy that VS Code uses. */
export function editorsNetwork(): Network {
  const http = vscode.workspace.getConfiguration('http');
  const isOff = http.get<string>('proxySupport') === 'off';
  return { proxy: isOff ? '' : http.get('proxy', ''), noProxy: http.get('noProxy', []) };
}
