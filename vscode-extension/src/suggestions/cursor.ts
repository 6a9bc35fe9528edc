// Tells the server where the cursor rests, so that it can prepare before the first key is pressed.
import * as vscode from 'vscode';
import type { Wire } from './feedback';

const RESTING_MS = 100;

/** Typing moves the cursor too; the server sees that by itself. */
export function followCursor(wire: Wire, isSparing: () => boolean): vscode.Disposable {
  let timer: NodeJS.Timeout | undefined;
  let changedAt = 0;
  const tell = (editor: vscode.TextEditor): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const isSeen = editor === vscode.window.activeTextEditor && !editor.document.isClosed;
      if (!isSeen || isSparing() || Date.now() - changedAt < RESTING_MS) {
        return;
      }
      const { line, character } = editor.selection.active;
      const textDocument = { uri: editor.document.uri.toString() };
      wire.notify('fimble/didMoveCursor', { textDocument, position: { line, character } });
    }, RESTING_MS);
  };
  return vscode.Disposable.from(
    vscode.workspace.onDidChangeTextDocument(() => {
      changedAt = Date.now();
    }),
    vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => {
      tell(textEditor);
    }),
    vscode.window.onDidChangeActiveTextEditor((editor) => {
      if (editor !== undefined) {
        tell(editor);
      }
    }),
    {
      dispose: () => {
        clearTimeout(timer);
      },
    },
  );
}
