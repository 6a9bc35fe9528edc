// What the page knows, kept up to date by the live stream.

import { computed, signal } from '@preact/signals';

import { RefusedError, events, newestExplanations } from './api';
import type { Explanation, Status } from './types';

export type Connection = 'connecting' | 'live' | 'lost' | 'refused';

const MAX_NUM_KEPT = 200;
const FIRST_RETRY_MS = 500;
// The server tells its status every two seconds; a machine that slept leaves a stream that says no more.
const LONGEST_SILENCE_MS = 15_000;
const LAST_RETRY_MS = 8000;

export const connection = signal<Connection>('connecting');
export const refusal = signal('');
export const status = signal<Status | null>(null);
/** The newest first. */
export const requests = signal<readonly Explanation[]>([]);
export const isPaused = signal(false);
/** Whether the requests from before the page was opened have come. */
export const isFilled = signal(false);

const held = signal<readonly Explanation[]>([]);
export const numHeld = computed(() => held.value.length);

/** Puts `one` first, or in the place of what was known of it. */
export function merged(
  known: readonly Explanation[],
  one: Explanation,
): readonly Explanation[] {
  const at = known.findIndex((each) => each.id === one.id);
  if (at >= 0) {
    return known.with(at, one);
  }
  return [one, ...known].slice(0, MAX_NUM_KEPT);
}

export function pause(): void {
  isPaused.value = true;
}

export function goOn(): void {
  for (const one of held.value.toReversed()) {
    requests.value = merged(requests.value, one);
  }
  held.value = [];
  isPaused.value = false;
}

function take(event: { type?: string } & Record<string, unknown>): void {
  if (event.type === 'status') {
    status.value = event as Status;
  } else if (event.type === 'explanation') {
    const one = event as unknown as Explanation;
    if (isPaused.value) {
      held.value = merged(held.value, one);
    } else {
      requests.value = merged(requests.value, one);
    }
  }
}

/** Takes over what the server remembers, in its order: its clock may have been set back. */
async function fill(): Promise<void> {
  const found = await newestExplanations(MAX_NUM_KEPT);
  if (isPaused.value) {
    held.value = found.filter((one) => !requests.value.some((each) => each.id === one.id));
  } else {
    requests.value = found;
  }
  isFilled.value = true;
}

/** Follows the server for as long as the page is open; takes up again what broke. */
export async function follow(): Promise<void> {
  for (let wait = FIRST_RETRY_MS; ; wait = Math.min(wait * 2, LAST_RETRY_MS)) {
    const stop = new AbortController(); // a stream that is left open takes a place at the server
    let silence = setTimeout(() => stop.abort(), LONGEST_SILENCE_MS);
    try {
      // The stream first: what ends between the two comes twice and is merged.
      const stream = events('/v1/live', stop.signal);
      const first = await stream.next();
      await fill();
      connection.value = 'live';
      wait = FIRST_RETRY_MS;
      for (let event = first; !event.done; event = await stream.next()) {
        clearTimeout(silence);
        silence = setTimeout(() => stop.abort(), LONGEST_SILENCE_MS);
        take(event.value as { type?: string });
      }
    } catch (error) {
      if (error instanceof RefusedError && (error.status === 401 || error.status === 403)) {
        refusal.value = error.message;
        connection.value = 'refused';
        return;
      }
    } finally {
      clearTimeout(silence);
      stop.abort();
    }
    connection.value = 'lost';
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}
