// Tells the server what became of its suggestions: shown, accepted, accepted in part.
import * as vscode from 'vscode';
import { takenPart, type Suggestion, type Taken } from './texts';
import type { Offer } from './requests';

/** VS Code has drawn what it got by then; what was typed over sooner nobody has read. */
const SHOWN_AFTER_MS = 100;

/** How the server is reached; nothing is sent while there is none. */
export interface Wire {
  notify(method: string, params: unknown): void;
  execute(command: string, args: readonly unknown[]): void;
}

/**
 * VS Code keeps its own events about ghost text for itself, so what is shown is concluded from the
 * cursor: it still stands where the request was made, in the same text.
 */
export class Feedback implements vscode.Disposable {
  private timer: NodeJS.Timeout | undefined;
  private current: { readonly suggestion: Suggestion; readonly document: vscode.TextDocument } | undefined;
  private readonly told = new vscode.EventEmitter<{ event: string; id: string; length?: number }>();

  /** Repeats every event that was sent. */
  readonly onDidTell = this.told.event;

  constructor(private readonly wire: Wire) {}

  /** A list was given to VS Code. */
  offered(offer: Offer): void {
    this.current = { suggestion: offer.suggestion, document: offer.document };
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (isUnchanged(offer)) {
        this.tell('textDocument/didShowCompletion', 'shown', offer.suggestion);
      }
    }, SHOWN_AFTER_MS);
  }

  /** VS Code has inserted the whole of a suggestion. */
  accepted(id: string): void {
    this.current = undefined;
    this.wire.execute('fimble.accepted', [id]);
    this.told.fire({ event: 'accepted', id });
  }

  /** A command of VS Code has inserted a part of the suggestion in view, or all of it. */
  partlyAccepted(): void {
    const editor = vscode.window.activeTextEditor;
    if (this.current === undefined || editor?.document !== this.current.document) {
      return; // all of it, or another extension's
    }
    const { suggestion, document } = this.current;
    const typed = document.getText(new vscode.Range(suggestion.start, editor.selection.active));
    const taken = takenPart(suggestion.texts, typed.replaceAll('\r\n', '\n'));
    if (taken !== undefined) {
      this.tell('textDocument/didPartiallyAcceptCompletion', 'partlyAccepted', suggestion, taken);
    }
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.told.dispose();
  }

  private tell(method: string, event: string, suggestion: Suggestion, taken?: Taken): void {
    const { start, end, texts, command } = suggestion;
    const item = {
      insertText: taken?.text ?? texts[0],
      range: { start: at(start), end: at(end) },
      command: { title: command.title, command: command.command, arguments: command.arguments },
    };
    const { id } = suggestion;
    this.wire.notify(method, taken === undefined ? { item } : { item, acceptedLength: taken.length });
    this.told.fire(taken === undefined ? { event, id } : { event, id, length: taken.length });
  }
}

function isUnchanged({ document, version, position }: Offer): boolean {
  const editor = vscode.window.activeTextEditor;
  return editor?.document === document && document.version === version && editor.selection.active.isEqual(position);
}

function at(position: vscode.Position): { line: number; character: number } {
  return { line: position.line, character: position.character };
}
