// A pause: until a moment, or until somebody ends it. Nothing here knows VS Code.

export interface Pause {
  /** Milliseconds since 1970; infinite for a pause that does not end by itself. */
  readonly until: number;
}

export function pauseFor(minutes: number | undefined, now: number): Pause {
  return { until: minutes === undefined ? Infinity : now + minutes * 60_000 };
}

export function isOver(pause: Pause, now: number): boolean {
  return now >= pause.until;
}

/** Returns when the pause ends, as in `until 14:05`. */
export function inWords(pause: Pause): string {
  if (!Number.isFinite(pause.until)) {
    return 'until you resume';
  }
  const end = new Date(pause.until);
  const two = (number: number): string => String(number).padStart(2, '0');
  return `until ${two(end.getHours())}:${two(end.getMinutes())}`;
}
