// A document of the server's that follows one of ours by its edits, so that its cache does too.

import { RefusedError, ask, post } from '../api';

const NOT_FOUND = 404;

interface Held {
  id: string;
  version: number;
}

export interface Completion {
  id: string;
  outcome: string;
  sentence: string;
  text: string;
  candidates: { text: string }[];
}

export interface Wishes {
  num_candidates: number;
  deadline_ms: number;
}

/** Returns how many code points the first `length` UTF-16 units of `text` are. */
export function codePoints(text: string, length: number): number {
  let num = 0;
  for (let at = 0; at < length; num += 1) {
    at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  }
  return num;
}

/** Returns the one replacement that makes `before` into `after`, in code points. */
export function difference(before: string, after: string): { start: number; end: number; text: string } {
  const shortest = Math.min(before.length, after.length);
  let head = 0;
  while (head < shortest && before[head] === after[head]) {
    head += 1;
  }
  if (isInsidePair(before, head) || isInsidePair(after, head)) {
    head -= 1;
  }
  let tail = 0;
  while (tail < shortest - head && before.at(-1 - tail) === after.at(-1 - tail)) {
    tail += 1;
  }
  if (isInsidePair(before, before.length - tail) || isInsidePair(after, after.length - tail)) {
    tail -= 1;
  }
  const start = codePoints(before, head);
  const removed = before.slice(head, before.length - tail);
  const text = after.slice(head, after.length - tail);
  return { start, end: start + codePoints(removed, removed.length), text };
}

function isInsidePair(text: string, at: number): boolean {
  return at > 0 && (text.codePointAt(at - 1) ?? 0) > 0xffff;
}

/** Calls are carried out one after the other, whoever waits for them. */
export class Mirror {
  private held: Held | null = null;
  private text = '';
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly languageId: string,
    private readonly path: string,
  ) {}

  /** Brings the server's text up to `text`. */
  follow(text: string): Promise<void> {
    const next = this.last.then(() => this.bringUp(text));
    this.last = next.catch(() => undefined);
    return next;
  }

  /** Returns what belongs at `offset`, in UTF-16 units, of `text`. */
  async complete(text: string, offset: number, wishes: Wishes, signal: AbortSignal): Promise<Completion> {
    await this.follow(text);
    signal.throwIfAborted();
    if (this.held === null) {
      throw new Error('the document is not open');
    }
    const { id, version } = this.held;
    const body = { offset: codePoints(text, offset), version, ...wishes };
    return post<Completion>(`/v1/documents/${id}/complete`, body, signal);
  }

  /** Lets the server forget the text. */
  close(): void {
    void this.last.then(() => {
      const { held } = this;
      this.held = null;
      return held === null ? undefined : ask(`/v1/documents/${held.id}`, { method: 'DELETE' });
    }).catch(() => undefined);
  }

  private async bringUp(text: string): Promise<void> {
    if (this.held !== null && text !== this.text) {
      try {
        const { id, version } = this.held;
        const edits = [difference(this.text, text)];
        this.held = await post<Held>(`/v1/documents/${id}/edits`, { edits, version });
      } catch (error) {
        if (!(error instanceof RefusedError && error.status === NOT_FOUND)) {
          throw error;
        }
        this.held = null;
      }
    }
    if (this.held === null) {
      const body = { text, language_id: this.languageId, path: this.path };
      this.held = await post<Held>('/v1/documents', body);
    }
    this.text = text;
  }
}
