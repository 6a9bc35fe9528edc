// Numbers, times and names as people read them. A missing value is a dash.

import type { Explanation, Maybe } from './types';

export const NONE = '–';

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });
const date = new Intl.DateTimeFormat('en', { dateStyle: 'medium' });

export function count(value: Maybe<number>): string {
  return value == null ? NONE : whole.format(value);
}

/** Returns `1 token`, `2 tokens`. */
export function counted(value: Maybe<number>, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

export function milliseconds(value: Maybe<number>): string {
  if (value == null) {
    return NONE;
  }
  if (value >= 10_000) {
    return `${oneDigit.format(value / 1000)} s`;
  }
  return `${value < 10 ? oneDigit.format(value) : whole.format(value)} ms`;
}

export function percent(ratio: Maybe<number>): string {
  return ratio == null ? NONE : `${whole.format(ratio * 100)} %`;
}

export function bytes(value: Maybe<number>): string {
  if (value == null) {
    return NONE;
  }
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let rest = value;
  let unit = 0;
  while (rest >= 1000 && unit < units.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  return `${(rest < 10 ? oneDigit : whole).format(rest)} ${units[unit]}`;
}

export function duration(seconds: Maybe<number>): string {
  if (seconds == null) {
    return NONE;
  }
  if (seconds < 90) {
    return `${whole.format(seconds)} s`;
  }
  if (seconds < 5400) {
    return `${whole.format(seconds / 60)} min`;
  }
  return seconds < 172_800
    ? `${oneDigit.format(seconds / 3600)} h`
    : `${oneDigit.format(seconds / 86_400)} days`;
}

export function timeOfDay(unixSeconds: number): string {
  return clock.format(new Date(unixSeconds * 1000));
}

export function day(isoDate: string): string {
  const parsed = new Date(`${isoDate}T12:00:00`);
  return Number.isNaN(parsed.getTime()) ? isoDate : date.format(parsed);
}

/** Returns the last part of a path or address. */
export function fileName(path: string): string {
  return path.split(/[/\\]/).filter(Boolean).at(-1) ?? path;
}

/** Returns what people call the document of a request. */
export function documentName(one: Explanation): string {
  if (one.path) {
    return one.path;
  }
  const uri = one.uri ?? '';
  if (uri.startsWith('file:')) {
    return fileName(decoded(uri));
  }
  return uri.startsWith('untitled:') ? uri.slice('untitled:'.length) : 'text without a name';
}

/** Returns `uri` without escapes; clients may send any text as one. */
function decoded(uri: string): string {
  try {
    return decodeURI(uri);
  } catch {
    return uri;
  }
}

export function place(one: Explanation): string {
  return one.line == null ? documentName(one) : `${documentName(one)}:${one.line}`;
}

/** Returns an identifier of the server's, such as `typing_as_suggested`, as words. */
export function words(identifier: Maybe<string>): string {
  return identifier ? identifier.replaceAll('_', ' ') : NONE;
}

export function sentence(text: Maybe<string>): string {
  if (!text) {
    return '';
  }
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}

/** Returns why a request ended as it did, without what its mark says already. */
export function reasonOf(one: Explanation): string {
  return sentence((one.sentence ?? '').replace(/^no suggestion: /, ''));
}

/** Returns the `share` quantile of `values`, which need no order; null if there are none. */
export function quantile(values: readonly number[], share: number): number | null {
  const ordered = values.toSorted((a, b) => a - b);
  return ordered[Math.max(0, Math.ceil(share * ordered.length) - 1)] ?? null;
}
