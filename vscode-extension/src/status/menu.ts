// What a click on the status bar offers.
import * as vscode from 'vscode';
import type { StatusBar } from './bar';

interface Action extends vscode.QuickPickItem {
  readonly command: string;
  readonly arguments?: readonly unknown[];
}

export function registerMenu(bar: StatusBar, isPaused: () => boolean): vscode.Disposable {
  return vscode.commands.registerCommand('fimble.menu', async () => {
    const title = `fimble: ${bar.state}`;
    const chosen = await vscode.window.showQuickPick(actions(isPaused()), { title });
    if (chosen !== undefined) {
      await vscode.commands.executeCommand(chosen.command, ...(chosen.arguments ?? []));
    }
  });
}

function actions(isPaused: boolean): Action[] {
  const pause: Action = isPaused
    ? { label: '$(debug-start) Resume suggestions', command: 'fimble.resume' }
    : { label: '$(debug-pause) Pause suggestions for a while...', command: 'fimble.pause' };
  return [
    { label: '$(question) Why this suggestion, or why none', command: 'fimble.why' },
    pause,
    { label: '$(circle-slash) Disable suggestions...', command: 'fimble.disable' },
    { label: '$(check) Enable suggestions...', command: 'fimble.enable' },
    { label: '$(dashboard) Open dashboard', command: 'fimble.openDashboard' },
    { label: '$(output) Show log', command: 'fimble.showLog' },
    { label: '$(debug-restart) Restart server', command: 'fimble.restart' },
    { label: '$(cloud-download) Install server...', command: 'fimble.installServer' },
    { label: '$(gear) Settings', command: 'workbench.action.openSettings', arguments: ['@ext:fimble.fimble'] },
  ];
}
