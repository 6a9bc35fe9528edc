// What the server wants the user to read. Errors go to the status bar, which stays quiet.
import * as vscode from 'vscode';
import { MessageType, type ShowMessageParams } from 'vscode-languageclient/node';
import { SECTION } from '../configuration';

/** Returns what takes the server's messages; each warning is shown once in a window. */
export function messageReader(
  log: vscode.LogOutputChannel,
  complain: (complaint: string) => void,
): (message: ShowMessageParams) => void {
  const shown = new Set<string>();
  return ({ type, message }) => {
    if (type === MessageType.Error) {
      log.error(message);
      complain(message);
      return;
    }
    log.warn(message);
    if (type === MessageType.Warning && !shown.has(message)) {
      shown.add(message);
      void offerSettings(message);
    }
  };
}

/** The server warns of settings alone. */
async function offerSettings(message: string): Promise<void> {
  const open = 'Open Settings';
  if ((await vscode.window.showWarningMessage(message, open)) === open) {
    await vscode.commands.executeCommand('workbench.action.openSettings', SECTION);
  }
}
