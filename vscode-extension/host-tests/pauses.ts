import * as assert from 'node:assert';
import * as vscode from 'vscode';
import { AREA, fimble, open, putCursor, sleep, type, until } from './editor';

export function definePauses(): void {
  describe('off and on', () => {
    it('asks for nothing by itself while it is paused, and says so', async () => {
      const api = await fimble();
      const editor = await open('paused.py', AREA);
      await vscode.commands.executeCommand('fimble.pause', 1);
      assert.strictEqual(api.state, 'paused');
      putCursor(editor, 1, 4);
      await type('return wid', 20);
      await sleep(500);
      assert.strictEqual(await api.why(editor.document.uri.toString()), null, 'nothing was asked');
      await vscode.commands.executeCommand('fimble.resume');
      assert.notStrictEqual(api.state, 'paused');
      await type('t');
      await until('it asks again', () => api.why(editor.document.uri.toString()));
    });

    it('is off for a language, and nothing else, until it is enabled again', async () => {
      const api = await fimble();
      const editor = await open('off.py', AREA);
      await vscode.commands.executeCommand('fimble.disable', 'python');
      await until('it says so', () => api.state === 'disabled');
      putCursor(editor, 1, 4);
      await type('return wid', 20);
      const why = await until('the server is asked', () => api.why(editor.document.uri.toString()));
      assert.strictEqual(why.reason, 'disabled');
      await open('on.js', 'const x = ');
      await until('another language is not concerned', () => api.state === 'ready');
      await vscode.commands.executeCommand('fimble.enable', 'python');
      await vscode.window.showTextDocument(editor.document);
      await until('it is on again', () => api.state === 'ready');
    });

    it('restarts on request, with the documents that are open', async () => {
      const api = await fimble();
      const editor = await open('restarted.py', AREA);
      await vscode.commands.executeCommand('fimble.restart');
      await until('it is ready again', () => api.state === 'ready');
      putCursor(editor, 1, 4);
      await type('return wid', 20);
      const why = await until('the new one answers', () => api.why(editor.document.uri.toString()));
      assert.notStrictEqual(why.reason, 'document_lost');
    });
  });
}
