// Light, dark, or whatever the system says.

import { computed, effect, signal } from '@preact/signals';

import { storeTheme, storedTheme, type Theme } from './storage';

const ORDER: readonly Theme[] = ['system', 'light', 'dark'];

export const theme = signal<Theme>(storedTheme());

const query = matchMedia('(prefers-color-scheme: dark)');
const systemIsDark = signal(query.matches);
query.addEventListener('change', (event) => {
  systemIsDark.value = event.matches;
});

export const isDark = computed(() =>
  theme.value === 'system' ? systemIsDark.value : theme.value === 'dark',
);

effect(() => {
  document.documentElement.dataset['theme'] = isDark.value ? 'dark' : 'light';
});

export function chooseNext(): void {
  theme.value = ORDER[(ORDER.indexOf(theme.value) + 1) % ORDER.length] ?? 'system';
  storeTheme(theme.value);
}
