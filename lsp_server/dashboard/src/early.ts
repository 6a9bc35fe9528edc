// Runs before anything is painted, so that no page flashes in the other theme.
import { storedTheme } from './storage';

const chosen = storedTheme();
const isDark = chosen === 'system' ? matchMedia('(prefers-color-scheme: dark)').matches : chosen === 'dark';
document.documentElement.dataset['theme'] = isDark ? 'dark' : 'light';
