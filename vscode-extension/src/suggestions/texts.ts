// The texts of a suggestion, and how much of one stands in the document. Types of VS Code only.
import type * as vscode from 'vscode';

/** What the server offered in answer to one request. */
export interface Suggestion {
  /** The server's id of the request. */
  readonly id: string;
  /** Where all of the candidates begin. */
  readonly start: vscode.Position;
  readonly end: vscode.Position;
  /** The candidates, each with what it repeats of the line before the cursor. */
  readonly texts: readonly string[];
  readonly command: vscode.Command;
}

type Given = vscode.InlineCompletionItem[] | vscode.InlineCompletionList | null | undefined;

/** Returns what is offered in a list; undefined if that is nothing of which events can tell. */
export function startsOf(given: Given): Suggestion | undefined {
  const items = Array.isArray(given) ? given : (given?.items ?? []);
  const first = items[0];
  const id = (first?.command?.arguments as unknown[] | undefined)?.[0];
  if (first?.range === undefined || first.command === undefined || typeof id !== 'string') {
    return undefined;
  }
  const texts = items.map((item) => item.insertText).filter((text) => typeof text === 'string');
  return { id, start: first.range.start, end: first.range.end, texts, command: first.command };
}

/** The candidate of which a part was taken, and how much, in units of UTF-16 from its start. */
export interface Taken {
  readonly text: string;
  readonly length: number;
}

/**
 * Returns the first candidate that begins with what stands in the document; undefined for none.
 *
 * @param texts The candidates, one of which was taken in part.
 * @param typed The document's text from the candidates' start to the cursor.
 */
export function takenPart(texts: readonly string[], typed: string): Taken | undefined {
  const text = typed === '' ? undefined : texts.find((each) => each.startsWith(typed));
  return text === undefined ? undefined : { text, length: typed.length };
}
