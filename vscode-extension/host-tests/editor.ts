// What the tests do in VS Code, in the words of a person.
import * as assert from 'node:assert';
import * as vscode from 'vscode';
import type { FimbleApi } from '../src/extension';

const PATIENCE_MS = 15_000;
const POLL_MS = 20;

export const AREA = 'def area(width, height):\n    \n\n\nprint(area(width=2, height=3))\n';

export async function fimble(): Promise<FimbleApi> {
  const extension = vscode.extensions.getExtension<FimbleApi>('fimble.fimble');
  assert.ok(extension, 'the extension is installed');
  return extension.activate();
}

/** Returns the first value that is neither undefined, false nor empty. */
export async function until<T>(what: string, look: () => T | Promise<T>): Promise<NonNullable<T>> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const seen = await look();
    if (seen) {
      return seen;
    }
    if (Date.now() > deadline) {
      throw new Error(`waited in vain until ${what}`);
    }
    await sleep(POLL_MS);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Opens a new file of the workspace's first folder, or of another one. */
export async function open(name: string, text: string, folderIndex = 0): Promise<vscode.TextEditor> {
  const folder = vscode.workspace.workspaceFolders?.[folderIndex];
  assert.ok(folder, 'a folder is open');
  const file = vscode.Uri.joinPath(folder.uri, name);
  await vscode.workspace.fs.writeFile(file, Buffer.from(text));
  return vscode.window.showTextDocument(file);
}

/** Writes a setting of fimble's for the user. */
export async function setting(name: string, value: unknown): Promise<void> {
  await vscode.workspace.getConfiguration('fimble').update(name, value, vscode.ConfigurationTarget.Global);
}

export function putCursor(editor: vscode.TextEditor, line: number, character: number): void {
  const at = new vscode.Position(line, character);
  editor.selection = new vscode.Selection(at, at);
}

/** Types as the keyboard does: one character at a time, through VS Code's own command. */
export async function type(text: string, delayMs = 0): Promise<void> {
  for (const character of text) {
    await vscode.commands.executeCommand('type', { text: character });
    if (delayMs > 0) {
      await sleep(delayMs);
    }
  }
}

export function lineOf(editor: vscode.TextEditor, line: number): string {
  return editor.document.lineAt(line).text;
}

/** Asks for ghost text and does `command` until the line is what it should become. */
export async function acceptBy(
  command: string,
  editor: vscode.TextEditor,
  line: number,
  isTaken: (text: string) => boolean,
): Promise<string> {
  return until(`${command} changes the line; it is ${JSON.stringify(lineOf(editor, line))}`, async () => {
    await vscode.commands.executeCommand('fimble.trigger');
    await sleep(300);
    await vscode.commands.executeCommand(command);
    await sleep(50);
    return isTaken(lineOf(editor, line)) ? lineOf(editor, line) : '';
  });
}
