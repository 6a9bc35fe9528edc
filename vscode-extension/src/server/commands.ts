// Commands about the server: install, choose, restart, log, dashboard.
import * as vscode from 'vscode';
import { SECTION } from '../configuration';
import type { Process } from '../status/state';
import { InstallationError, TakenBackError } from './make';
import { NoPythonError, type OwnEnvironment } from './ownEnvironment';
import type { Supervisor } from './supervisor';

const WALKTHROUGH = 'fimble.fimble#start';

export interface Parts {
  readonly supervisor: Supervisor;
  readonly own: OwnEnvironment;
  readonly log: vscode.LogOutputChannel;
  onProcess(process: Process): void;
}

export function registerServerCommands(parts: Parts): vscode.Disposable {
  const { registerCommand } = vscode.commands;
  return vscode.Disposable.from(
    registerCommand('fimble.restart', () => parts.supervisor.restart()),
    registerCommand('fimble.showLog', () => {
      parts.log.show(true);
    }),
    registerCommand('fimble.showWalkthrough', showWalkthrough),
    registerCommand('fimble.installServer', atMostOnce(() => install(parts))),
    registerCommand('fimble.chooseServer', choose),
    registerCommand('fimble.openDashboard', () => openDashboard(parts)),
  );
}

async function showWalkthrough(): Promise<void> {
  await vscode.commands.executeCommand('workbench.action.openWalkthrough', WALKTHROUGH, false);
}

/** Returns `work` for impatient people: whoever asks while it is under way waits for its end. */
function atMostOnce(work: () => Promise<void>): () => Promise<void> {
  let underWay: Promise<void> | undefined;
  return () =>
    (underWay ??= work().finally(() => {
      underWay = undefined;
    }));
}

async function install(parts: Parts): Promise<void> {
  const { supervisor, own, log } = parts;
  parts.onProcess({ kind: 'installing' });
  try {
    const former = await own.install();
    await supervisor.stop(); // or it would start a background process from the former one again
    await own.discard(former);
  } catch (error) {
    log.error(error instanceof Error ? error : String(error));
    if (error instanceof NoPythonError) {
      await showWalkthrough();
    }
    if (!(error instanceof TakenBackError)) {
      const reason = error instanceof InstallationError ? `${error.message}.` : String(error);
      void complain(`The server could not be installed: ${reason}`);
    }
  }
  await supervisor.restart();
}

/** The user has asked for this and waits, so it is said where it is seen. */
async function complain(message: string): Promise<void> {
  const [log, settings] = ['Show Log', 'Settings'];
  const chosen = await vscode.window.showErrorMessage(message, log, settings);
  if (chosen === log) {
    await vscode.commands.executeCommand('fimble.showLog');
  } else if (chosen === settings) {
    await vscode.commands.executeCommand('workbench.action.openSettings', `${SECTION}.install`);
  }
}

async function choose(): Promise<void> {
  const chosen = await vscode.window.showOpenDialog({
    title: 'The program fimble of an environment',
    openLabel: 'Use this server',
  });
  const file = chosen?.[0];
  if (file !== undefined) {
    // A setting of the machine, which a workspace cannot write.
    const section = vscode.workspace.getConfiguration(SECTION);
    await section.update('server.command', file.fsPath, vscode.ConfigurationTarget.Global);
  }
}

async function openDashboard({ supervisor, log }: Parts): Promise<void> {
  try {
    const client = supervisor.running;
    if (client === undefined) {
      throw new Error('the server does not run');
    }
    const answer: unknown = await client.sendRequest('workspace/executeCommand', {
      command: 'fimble.dashboard',
      arguments: [],
    });
    const url = (answer as { url?: unknown } | null)?.url;
    if (typeof url !== 'string') {
      throw new Error('this server has none');
    }
    // In a remote window VS Code forwards the port by itself.
    await vscode.env.openExternal(vscode.Uri.parse(url, true));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.error(`no dashboard: ${reason}`);
    void vscode.window.showInformationMessage(`There is no dashboard to open: ${reason}.`);
  }
}
