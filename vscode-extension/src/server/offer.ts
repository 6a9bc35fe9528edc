// The one message that comes by itself: the server is not there, and here is how to get it.
import * as vscode from 'vscode';

const OFFERED = 'installationOffered';

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
