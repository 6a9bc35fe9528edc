import * as assert from 'node:assert';
import * as vscode from 'vscode';
import { AREA, open, putCursor, sleep, until } from './editor';

function whyDocument(): vscode.TextDocument | undefined {
  return vscode.workspace.textDocuments.find((document) => document.uri.scheme === 'fimble-why');
}

export function defineWhy(): void {
  describe('the view of why', () => {
    it('opens beside the code, in words', async () => {
      const editor = await open('why.py', AREA.replace('    \n', '    return wid\n'));
      putCursor(editor, 1, 14);
      await vscode.commands.executeCommand('fimble.trigger');
      await sleep(500);
      await vscode.commands.executeCommand('fimble.why');
      const text = await until('it says why', () => whyDocument()?.getText().match(/# Why[^]*/)?.[0]);
      assert.match(text, /# Why this suggestion\?/);
      assert.match(text, /Where the time went/);
      assert.strictEqual(vscode.window.activeTextEditor?.document, editor.document, 'the code keeps the focus');
    });

    it('says why there is none', async () => {
      const editor = await open('none.py', AREA);
      await vscode.commands.executeCommand('fimble.disable', 'python');
      try {
        putCursor(editor, 1, 4);
        await vscode.commands.executeCommand('fimble.trigger');
        await sleep(500);
        await vscode.commands.executeCommand('fimble.why');
        await until('it says so', () => whyDocument()?.getText().includes('switched off for python'));
      } finally {
        await vscode.commands.executeCommand('fimble.enable', 'python');
      }
    });
  });
}
