// The messages that come by themselves: the server is not there, or not the one that fits.
import * as vscode from 'vscode';

const OFFERED = 'installationOffered';
const UPDATE_OFFERED = 'updateOffered';

/** Asks once on this machine; afterwards the status bar alone says what is missing. */
export async function offerInstallation(state: vscode.Memento): Promise<void> {
  if (state.get<boolean>(OFFERED, false)) {
    return;
  }
  await state.update(OFFERED, true);
  const [install, steps] = ['Install', 'Get Started'];
  const chosen = await vscode.window.showInformationMessage(
    'fimble needs its server, a Python program that gets an environment of its own.',
    install,
    steps,
  );
  if (chosen === install) {
    await vscode.commands.executeCommand('fimble.installServer');
  } else if (chosen === steps) {
    await vscode.commands.executeCommand('fimble.showWalkthrough');
  }
}

/** Asks once for each version that an update of the extension brings. */
export async function offerUpdate(state: vscode.Memento, running: string, shipped: string): Promise<void> {
  if (state.get<string>(UPDATE_OFFERED) === shipped) {
    return;
  }
  await state.update(UPDATE_OFFERED, shipped);
  const install = 'Install';
  const message = `fimble's server is of version ${running}; this extension came with ${shipped}.`;
  if ((await vscode.window.showInformationMessage(message, install)) === install) {
    await vscode.commands.executeCommand('fimble.installServer');
  }
}
