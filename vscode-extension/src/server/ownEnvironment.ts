// The environment that this extension makes for the server, in its own folder on this machine.
import { readdir, rm } from 'node:fs/promises';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { installSettings } from '../configuration';
import { proxyVariables, type Network } from '../network';
import { isProgram, run } from '../programs';
import { programIn } from './locate';
import { planInstallation, progressOf, type Step } from './plan';
import { findMaker, type Maker } from './python';

const STATE_KEY = 'environment';

/** An installation that did not come to its end; the message says why. */
export class InstallationError extends Error {}

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
   * Makes a new environment, shows how far it is, and takes it into use once it works. The former
   * one stays in use until then.
   */
  async install(): Promise<void> {
    const settings = installSettings();
    const maker = await findMaker({
      setting: settings.python,
      pathVariable: process.env['PATH'] ?? '',
      platform: process.platform,
      run,
      isProgram,
    });
    if (maker === undefined) {
      throw new NoPythonError(settings.python);
    }
    const requirement = settings.requirement || (await this.shippedWheel());
    const former = this.folder;
    const folder = await this.newFolder();
    try {
      await this.make(maker, folder, requirement);
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
    await this.context.globalState.update(STATE_KEY, folder);
    if (former !== '') {
      await rm(former, { recursive: true, force: true });
    }
  }

  private async make(maker: Maker, folder: string, requirement: string): Promise<void> {
    const network = editorsNetwork();
    const steps = planInstallation({
      maker,
      folder,
      requirement,
      settings: installSettings(),
      proxy: network.proxy,
      platform: process.platform,
    });
    const works = [programIn(folder, 'fimble', process.platform), '--version'];
    const env = proxyVariables(network, process.env);
    const options = { location: vscode.ProgressLocation.Notification, title: 'fimble', cancellable: true };
    await vscode.window.withProgress(options, async (progress, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => {
        abort.abort();
      });
      for (const step of [...steps, { title: 'trying the server', command: works }]) {
        progress.report({ message: step.title });
        const report = (line: string): void => {
          this.log.info(line);
          const message = progressOf(line);
          if (message !== undefined) {
            progress.report({ message });
          }
        };
        await this.take(step, { env, onLine: report, signal: abort.signal });
      }
    });
  }

  private async take(step: Step, options: Parameters<typeof run>[1] & { signal: AbortSignal }): Promise<void> {
    this.log.info(`${step.title}: ${step.command.join(' ')}`);
    const ended = await run(step.command, options);
    if (options.signal.aborted) {
      throw new vscode.CancellationError();
    }
    if (ended.code !== 0) {
      const last = `${ended.output}\n${ended.errors}`.trim().split('\n').at(-1) ?? '';
      throw new InstallationError(`${step.title} failed: ${last}`);
    }
  }

  /** Returns the wheel that was packed with this extension, which fits its version. */
  private async shippedWheel(): Promise<string> {
    const folder = vscode.Uri.joinPath(this.context.extensionUri, 'server').fsPath;
    const files = await readdir(folder).catch(() => []);
    const wheel = files.find((file) => file.endsWith('.whl'));
    if (wheel === undefined) {
      throw new InstallationError('this build of the extension holds no server; set fimble.install.requirement');
    }
    return path.join(folder, wheel);
  }

  /** Environments cannot be moved, so a new one has a new place. */
  private async newFolder(): Promise<string> {
    const storage = this.context.globalStorageUri;
    await vscode.workspace.fs.createDirectory(storage);
    return path.join(storage.fsPath, `server-${Date.now()}`);
  }
}

/** Returns the proxy that VS Code uses. */
export function editorsNetwork(): Network {
  const http = vscode.workspace.getConfiguration('http');
  return { proxy: http.get('proxy', ''), noProxy: http.get('noProxy', []) };
}
