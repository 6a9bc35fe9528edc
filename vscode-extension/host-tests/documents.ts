import * as assert from 'node:assert';
import * as vscode from 'vscode';
import { AREA, fimble, open, putCursor, type, until } from './editor';

/** Types in `document` and returns what the server says of it. */
async function answered(editor: vscode.TextEditor, line: number): Promise<string> {
  const api = await fimble();
  putCursor(editor, line, editor.document.lineAt(line).text.length);
  await type('return wid', 20);
  const why = await until('the server is asked', () => api.why(editor.document.uri.toString()));
  return why.outcome ?? '';
}

export function defineDocuments(): void {
  describe('documents of every kind', () => {
    it('has suggestions in a text that has no file yet', async () => {
      const document = await vscode.workspace.openTextDocument({ language: 'python', content: AREA });
      assert.notStrictEqual(await answered(await vscode.window.showTextDocument(document), 1), '');
    });

    it('has suggestions in a second folder of the workspace', async () => {
      assert.strictEqual(vscode.workspace.workspaceFolders?.length, 2);
      assert.notStrictEqual(await answered(await open('second.py', AREA, 1), 1), '');
    });

    it('has suggestions in the cell of a notebook', async () => {
      const cells = ['import math\n', AREA].map((source) => ({ cell_type: 'code', metadata: {}, outputs: [], source }));
      const metadata = { language_info: { name: 'python' } };
      const folder = vscode.workspace.workspaceFolders?.[0];
      assert.ok(folder);
      const file = vscode.Uri.joinPath(folder.uri, 'cells.ipynb');
      const text = JSON.stringify({ cells, metadata, nbformat: 4, nbformat_minor: 5 });
      await vscode.workspace.fs.writeFile(file, Buffer.from(text));
      const notebook = await vscode.workspace.openNotebookDocument(file);
      await vscode.window.showNotebookDocument(notebook, { selections: [new vscode.NotebookRange(1, 2)] });
      await vscode.commands.executeCommand('notebook.cell.edit');
      const cell = notebook.cellAt(1).document;
      const editor = await until('the cell is edited', () =>
        vscode.window.visibleTextEditors.find((visible) => visible.document === cell),
      );
      assert.notStrictEqual(await answered(editor, 1), '');
    });
  });
}
