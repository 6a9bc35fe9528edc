// Which view the address names: #/requests, #/requests/ID, #/overview, #/playground.

import { signal } from '@preact/signals';

export type View = 'requests' | 'overview' | 'playground';

export interface Route {
  view: View;
  id: string;
}

const VIEWS: readonly View[] = ['requests', 'overview', 'playground'];

function parsed(hash: string): Route {
  const [, view, id = ''] = hash.split('/');
  const known = VIEWS.find((each) => each === view) ?? 'requests';
  return { view: known, id: known === 'requests' ? decoded(id) : '' };
}

/** Returns `text` as it is where somebody wrote it by hand and its escapes are none. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const route = signal<Route>(parsed(location.hash));

addEventListener('hashchange', () => {
  route.value = parsed(location.hash);
});

export function addressOf(view: View, id = ''): string {
  return id === '' ? `#/${view}` : `#/${view}/${encodeURIComponent(id)}`;
}

export function goTo(view: View, id = ''): void {
  location.hash = addressOf(view, id);
}
