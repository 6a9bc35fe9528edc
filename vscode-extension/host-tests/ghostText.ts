import * as assert from 'node:assert';
import * as vscode from 'vscode';
import { acceptBy, AREA, fimble, lineOf, open, putCursor, until } from './editor';

interface Told {
  readonly event: string;
  readonly id: string;
  readonly length?: number;
}

export function defineGhostText(): void {
  describe('ghost text', () => {
    let editor: vscode.TextEditor;
    const told: Told[] = [];

    before(async () => {
      const api = await fimble();
      api.onDidTell((event) => told.push(event));
      editor = await open('shapes.py', AREA);
      await until('the server is ready', () => api.state === 'ready' || api.state === 'thinking');
    });

    beforeEach(async () => {
      await editor.edit((edit) => {
        edit.replace(editor.document.lineAt(1).range, '    return wid');
      });
      putCursor(editor, 1, '    return wid'.length);
      told.length = 0;
    });

    it('is accepted whole, and the server is told of it', async () => {
      const line = await acceptBy('fimble.accept', editor, 1, (text) => text.length > '    return wid'.length);
      assert.strictEqual(line, '    return width * height');
      await until('the server is told', () => told.some((event) => event.event === 'accepted'));
    });

    it('is accepted by the word, and the server is told how much of it', async () => {
      const line = await acceptBy('fimble.acceptWord', editor, 1, (text) => text.length > '    return wid'.length);
      assert.strictEqual(line, '    return width');
      const part = await until('the server is told', () => told.find((event) => event.event === 'partlyAccepted'));
      assert.strictEqual(part.length, line.length, 'counted from the start of what was offered');
    });

    it('is told as shown with the id of its request', async () => {
      await vscode.commands.executeCommand('fimble.trigger');
      const shown = await until('the server is told', () => told.find((event) => event.event === 'shown'));
      const why = await (await fimble()).why(editor.document.uri.toString());
      assert.strictEqual(shown.id, why?.id);
    });

    it('is accepted by the line, and the text behind it stays as it was', async () => {
      const before = editor.document.getText();
      await acceptBy('fimble.acceptLine', editor, 1, (text) => text.length > '    return wid'.length);
      assert.strictEqual(editor.document.getText(), before.replace('return wid\n', 'return width * height\n'));
    });

    it('goes with undo, and what was typed stays', async () => {
      await acceptBy('fimble.accept', editor, 1, (text) => text.endsWith('height'));
      await vscode.commands.executeCommand('undo');
      assert.strictEqual(lineOf(editor, 1), '    return wid');
    });
  });
}
