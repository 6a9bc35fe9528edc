import * as assert from 'node:assert';
import * as vscode from 'vscode';
import { run } from '../src/programs';
import { acceptBy, AREA, fimble, lineOf, open, putCursor, sleep, type, until } from './editor';

const NUM_EDITS = 50;

interface Model {
  readonly num_waiting: number;
  /** Seconds of finished work since the model was loaded. */
  readonly busy_s: number;
}

async function modelsOfDaemon(): Promise<Model[]> {
  const command = vscode.workspace.getConfiguration('fimble').get<string[]>('server.command', []);
  const { output } = await run([...command, 'daemon', 'status', '--json']);
  return (JSON.parse(output) as { models: Model[] }).models;
}

/** Whether no model has work before it, and none did any since a moment ago. */
async function isEngineAtRest(): Promise<boolean> {
  const earlier = await modelsOfDaemon();
  await sleep(500);
  const later = await modelsOfDaemon();
  const isSame = later.every((model, index) => model.busy_s === earlier[index]?.busy_s);
  return later.length > 0 && isSame && later.every((model) => model.num_waiting === 0);
}

export function defineQuickEdits(): void {
  describe('fifty quick edits', () => {
    it('leave no request under way and no ghost text of an earlier text', async () => {
      const api = await fimble();
      const editor = await open('quick.py', AREA);
      putCursor(editor, 1, 4);
      for (let number = 0; number < NUM_EDITS; number += 1) {
        await type(number % 2 === 0 ? 'x' : ' ');
        await sleep(10);
      }
      const typed = lineOf(editor, 1);
      assert.strictEqual(typed.length, 4 + NUM_EDITS, 'no key is lost');
      await until('nothing is under way', () => api.numRequests === 0);
      await until('it says so', () => api.state === 'ready');
      await until('the engine has nothing left to do', isEngineAtRest);
      await editor.edit((edit) => {
        edit.replace(editor.document.lineAt(1).range, '    return wid');
      });
      putCursor(editor, 1, 14);
      const line = await acceptBy('fimble.accept', editor, 1, (text) => text !== '    return wid');
      // How far it goes depends on how much of the cache is still as the fifty edits left it.
      assert.match(line, /^ {4}return width?( \* height)?$/, 'what is shown belongs to this text');
      assert.strictEqual(vscode.window.activeTextEditor, editor);
    });
  });
}
