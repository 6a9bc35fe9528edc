// Commands around ghost text. They wrap VS Code's own, so that what is accepted can be told.
import * as vscode from 'vscode';
import type { Feedback } from './feedback';

const PLAIN: readonly (readonly [string, string])[] = [
  ['fimble.trigger', 'editor.action.inlineSuggest.trigger'],
  ['fimble.next', 'editor.action.inlineSuggest.showNext'],
  ['fimble.previous', 'editor.action.inlineSuggest.showPrevious'],
  // VS Code then runs the item's own command, which tells of it.
  ['fimble.accept', 'editor.action.inlineSuggest.commit'],
];

const IN_PART: readonly (readonly [string, string])[] = [
  ['fimble.acceptWord', 'editor.action.inlineSuggest.acceptNextWord'],
  ['fimble.acceptLine', 'editor.action.inlineSuggest.acceptNextLine'],
];

export function registerSuggestionCommands(feedback: Feedback): vscode.Disposable {
  const wrap = (ours: string, theirs: string, after?: () => void): vscode.Disposable =>
    vscode.commands.registerCommand(ours, async () => {
      await vscode.commands.executeCommand(theirs);
      after?.();
    });
  return vscode.Disposable.from(
    ...PLAIN.map(([ours, theirs]) => wrap(ours, theirs)),
    ...IN_PART.map(([ours, theirs]) =>
      wrap(ours, theirs, () => {
        feedback.partlyAccepted();
      }),
    ),
    // What the server's items carry; the language client would register it once per connection.
    vscode.commands.registerCommand('fimble.accepted', (id: unknown) => {
      if (typeof id === 'string') {
        feedback.accepted(id);
      }
    }),
  );
}
