// What the browser remembers: the token for this tab, the theme for this address.

export type Theme = 'system' | 'light' | 'dark';

const TOKEN = 'fimble.token';
const THEME = 'fimble.theme';

/** Returns what `read` gives; null where a browser allows no storage. */
function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

export function storedTheme(): Theme {
  const found = attempt(() => localStorage.getItem(THEME));
  return found === 'light' || found === 'dark' ? found : 'system';
}

export function storeTheme(theme: Theme): void {
  attempt(() => localStorage.setItem(THEME, theme));
}

/** Returns the tab's token, after moving one from the address bar to where only this tab finds it. */
export function takeToken(): string {
  const sent = /^#token=([\w-]+)$/.exec(location.hash)?.[1];
  if (sent !== undefined) {
    attempt(() => sessionStorage.setItem(TOKEN, sent));
    history.replaceState(null, '', location.pathname);
    return sent;
  }
  return attempt(() => sessionStorage.getItem(TOKEN)) ?? '';
}
