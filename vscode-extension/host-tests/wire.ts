import * as assert from 'node:assert';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { AREA, fimble, open, putCursor, setting, sleep, type, until } from './editor';

export function defineWire(): void {
  describe('what the server is sent', () => {
    const command = vscode.workspace.getConfiguration('fimble').get<string[]>('server.command') ?? [];
    let file = '';

    before(async () => {
      file = path.join(await mkdtemp(path.join(tmpdir(), 'sent-')), 'messages');
      // The real server, and a file with all that it is sent.
      const noted = `case " $* " in *" --version "*) exec "$@";; esac; tee '${file}' | "$@"`;
      await setting('server.command', ['/bin/sh', '-c', noted, 'sh', ...command]);
      await until('the new one is there', () => messages('"initialized"'));
    });

    after(async () => {
      await setting('server.command', command);
      const api = await fimble();
      await until('the former one is back', () => api.state === 'ready');
    });

    async function messages(word: string): Promise<number> {
      const text = await readFile(file, 'utf8').catch(() => '');
      return text.split(word).length - 1;
    }

    it('is where the cursor rests, but not where typing has moved it', async () => {
      const editor = await open('moves.py', AREA);
      await until('the server is asked for the first time', () => messages('fimble/didMoveCursor'));
      putCursor(editor, 4, 3);
      await until('it is told of the move', async () => (await messages('"line":4,"character":3')) > 0);
      const before = await messages('fimble/didMoveCursor');
      await type('xyz', 250);
      await until('it is asked', () => messages('textDocument/inlineCompletion'));
      await sleep(300);
      assert.strictEqual(await messages('fimble/didMoveCursor'), before);
    });

    it('is one request for a word, and no wish for healing, while the battery is saved', async () => {
      const request = '"method":"textDocument/inlineCompletion"';
      await setting('batterySaver', 'on');
      try {
        await until('the server is told', () => messages('"patching":"identifiers"'));
        const editor = await open('saving.py', AREA);
        putCursor(editor, 1, 4);
        const before = await messages(request);
        await type('return', 60);
        assert.strictEqual(await messages(request), before, 'nothing while keys are pressed');
        await until('it is asked', async () => (await messages(request)) > before);
        assert.strictEqual(await messages(request), before + 1);
      } finally {
        await setting('batterySaver', undefined);
      }
    });
  });
}
