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

export function storedToken(): string {
  return attempt(() => sessionStorage.getItem(TOKEN)) ?? '';
}

/** Keeps the token where only this tab finds it. */
export function storeToken(token: string): void {
  attempt(() => sessionStorage.setItem(TOKEN, token));
}
