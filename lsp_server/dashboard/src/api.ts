// Requests to the server that the page came from, each with the tab's token.

import { access, addressAt } from './access';
import type { Explanation, Stats } from './types';

/** The server said no; `status` is HTTP's, the message is the server's own. */
export class RefusedError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code = '',
  ) {
    super(message);
  }
}

/** Returns an answer that is a success. Throws `RefusedError`, or what `fetch` throws. */
export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const { token, refusal } = await access();
  if (token !== '') {
    headers.set('Authorization', `Bearer ${token}`);
  }
  const answer = await fetch(addressAt(path), { ...init, headers, cache: 'no-store' });
  if (!answer.ok) {
    const { message, code } = await reasonOf(answer);
    throw new RefusedError(answer.status, refusal || message, code);
  }
  return answer;
}

async function reasonOf(answer: Response): Promise<{ message: string; code: string }> {
  try {
    const { error } = (await answer.json()) as { error?: { message?: string; code?: string } };
    return { message: error?.message ?? answer.statusText, code: error?.code ?? '' };
  } catch {
    return { message: answer.statusText, code: '' };
  }
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await ask(path, signal ? { signal } : {})).json() as Promise<T>;
}

export async function post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const headers = { 'Content-Type': 'application/json' };
  const init = { method: 'POST', headers, body: JSON.stringify(body) };
  return (await ask(path, signal ? { ...init, signal } : init)).json() as Promise<T>;
}

export async function explanationOf(id: string, signal?: AbortSignal): Promise<Explanation> {
  return get<Explanation>(`/v1/explain/${encodeURIComponent(id)}`, signal);
}

export async function newestExplanations(limit: number): Promise<Explanation[]> {
  const found = await get<{ explanations: Explanation[] }>(`/v1/explain?limit=${limit}`);
  return found.explanations;
}

export async function acceptance(signal?: AbortSignal): Promise<Stats> {
  return get<Stats>('/v1/stats', signal);
}

/** Yields what server-sent events carry until the stream ends. */
export async function* events(path: string, signal: AbortSignal): AsyncGenerator<unknown> {
  const answer = await ask(path, { signal });
  if (answer.body === null) {
    return;
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      return;
    }
    pending += value;
    const blocks = pending.split('\n\n');
    pending = blocks.pop() ?? '';
    for (const block of blocks) {
      if (block.startsWith('data: ')) {
        yield JSON.parse(block.slice('data: '.length));
      }
    }
  }
}
