import * as assert from 'node:assert';
import * as vscode from 'vscode';
import { fimble, open, putCursor, setting, until } from './editor';

const HEAD = 'def describe(width, height):\n';
const LINE = '    return ';
const TAIL = '\n\n\nprint(describe(width=2, height=3))\n';

/** Asks, turns the candidates over by `turns`, and returns all of them before one is taken. */
async function turned(editor: vscode.TextEditor, turns: readonly string[]): Promise<string[]> {
  const api = await fimble();
  return until('there are three', async () => {
    putCursor(editor, 1, LINE.length);
    await vscode.commands.executeCommand('fimble.trigger');
    for (const turn of turns) {
      await vscode.commands.executeCommand(turn);
    }
    const why = await api.why(editor.document.uri.toString());
    const candidates = (why?.candidates ?? []).map((each) => (typeof each === 'string' ? each : (each.text ?? '')));
    return candidates.length === 3 ? candidates : undefined;
  });
}

/** Takes what is in view and returns it. */
async function taken(editor: vscode.TextEditor, command: string): Promise<string> {
  const before = HEAD + LINE + TAIL;
  await vscode.commands.executeCommand(command);
  const text = await until('it is taken', () => {
    const now = editor.document.getText();
    return now === before ? undefined : now;
  });
  assert.ok(text.startsWith(HEAD + LINE) && text.endsWith(TAIL), text);
  return text.slice(HEAD.length + LINE.length, text.length - TAIL.length);
}

export function defineCandidates(): void {
  describe('several candidates', () => {
    let editor: vscode.TextEditor;

    before(async () => {
      await setting('completion.num_candidates', 3);
    });

    beforeEach(async () => {
      editor = await open('candidates.py', HEAD + LINE + TAIL);
    });

    afterEach(async () => {
      await vscode.commands.executeCommand('workbench.action.files.revert');
    });

    after(async () => {
      await setting('completion.num_candidates', undefined);
    });

    const cases: [string, string[], number][] = [
      ['the first, where nobody asks for another', [], 0],
      ['the second, after the next one was asked for', ['fimble.next'], 1],
      ['the first again, after the next and the previous', ['fimble.next', 'fimble.previous'], 0],
      ['the last, before the first', ['fimble.previous'], 2],
    ];
    for (const [what, turns, index] of cases) {
      it(`are taken one by one: ${what}`, async () => {
        const candidates = await turned(editor, turns);
        assert.strictEqual(new Set(candidates).size, 3, 'they differ');
        assert.strictEqual(await taken(editor, 'fimble.accept'), candidates[index]);
      });
    }

    it('are taken by the word too, and the server is told of which', async () => {
      const api = await fimble();
      const told: { event: string; length?: number }[] = [];
      const listener = api.onDidTell((event) => told.push(event));
      try {
        const candidates = await turned(editor, ['fimble.next']);
        const word = await taken(editor, 'fimble.acceptWord');
        assert.ok(candidates[1]?.startsWith(word), `${word} of ${JSON.stringify(candidates)}`);
        const part = await until('the server is told', () => told.find(({ event }) => event === 'partlyAccepted'));
        assert.strictEqual(part.length, (LINE + word).length);
      } finally {
        listener.dispose();
      }
    });
  });
}
