// How the page gets the token that its requests need, from the address it was opened by.

import { storeToken, storedToken } from './storage';

export interface Access {
  token: string;
  /** Why there is no token though the address promised one; empty otherwise. */
  refusal: string;
}

/** Returns the address of `path` at the server, also where another server stands in front of it. */
export function addressAt(path: string): URL {
  return new URL(`..${path}`, location.href);
}

let asked: Promise<Access> | null = null;

/** Returns the tab's token, traded for the ticket in the address if there is one. */
export function access(): Promise<Access> {
  asked ??= find();
  return asked;
}

async function find(): Promise<Access> {
  const sent = /^#(token|ticket)=(.+)$/.exec(location.hash);
  if (sent === null) {
    return { token: storedToken(), refusal: '' };
  }
  history.replaceState(null, '', location.pathname); // neither is to be seen or kept by the browser
  const value = decoded(sent[2] ?? '');
  const found = sent[1] === 'token' ? { token: value, refusal: '' } : await traded(value);
  if (found.token !== '') {
    storeToken(found.token);
    return found;
  }
  // Who opens an old address in a tab that has the token already still has it.
  return { ...found, token: storedToken() };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function traded(ticket: string): Promise<Access> {
  try {
    const answer = await fetch(addressAt('/dashboard/ticket'), {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ ticket }),
      cache: 'no-store',
    });
    const body = (await answer.json()) as { token?: string; error?: { message?: string } };
    return { token: body.token ?? '', refusal: body.error?.message ?? '' };
  } catch (error) {
    return { token: '', refusal: String(error) };
  }
}

// An address that is opened in this very tab changes only what stands behind the #.
addEventListener('hashchange', () => {
  if (/^#(token|ticket)=/.test(location.hash)) {
    location.reload();
  }
});
