// Tells the server where the cursor rests, so that it can prepare before the first key is pressed.
import * as vscode from 'vscode';
import type { Wire } from './feedback';

const RESTING_MS = 100;

/**
 * Typing moves the cursor too, but of that the server is told by the change, and a message more would
 * reach it while it works on the request that follows the key.
 */
export function followCursor(wire: Wire, isSparing: () => boolean): vscode.Disposable {
  let timer: NodeJS.Timeout | undefined;
  const versions = new WeakMap<vscode.TextDocument, number>();
  const tell = (editor: vscode.TextEditor): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const isSeen = editor === vscode.window.activeTextEditor && !editor.document.isClosed;
      if (!isSeen || isSparing()) {
        return;
      }
      const { line, character } = editor.selection.active;
      const textDocument = { uri: editor.document.uri.toString() };
      wire.notify('fimble/didMoveCursor', { textDocument, position: { line, character } });
    }, RESTING_MS);
  };
  return vscode.Disposable.from(
    vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => {
      const { document } = textEditor;
      const before = versions.get(document);
      versions.set(document, document.version);
      if (before === undefined || before === document.version) {
        tell(textEditor);
      }
    }),
    vscode.workspace.onDidChangeTextDocument(() => {
      clearTimeout(timer); // what moved before the change is told with it
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
