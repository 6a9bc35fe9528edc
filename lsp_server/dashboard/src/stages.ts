// Where the time of a request goes.

import type { Explanation } from './types';

export interface Stage {
  key: string;
  name: string;
  meaning: string;
}

/** In the order in which they happen. */
export const STAGES: readonly Stage[] = [
  { key: 'waiting', name: 'Waiting', meaning: 'for a pause in typing, and for the engine' },
  { key: 'retrieval', name: 'Retrieval', meaning: 'finding code of other files' },
  { key: 'prompt', name: 'Prompt', meaning: 'parsing the document and building the prompt' },
  { key: 'patch', name: 'Patch', meaning: 'fitting the cache to the edited text' },
  { key: 'prefill', name: 'Prefill', meaning: 'reading what the cache did not have' },
  { key: 'decode', name: 'Draft and verify', meaning: 'writing the text, guessed tokens checked in one pass' },
  { key: 'post', name: 'Fitting', meaning: 'fitting the text into the document' },
];

export interface Part extends Stage {
  ms: number;
}

/** Returns the stages that took time; empty where the engine never got to its end. */
export function partsOf(one: Explanation): Part[] {
  const timings = one.timings_ms ?? {};
  return STAGES.flatMap((stage) => {
    const ms = timings[stage.key];
    return ms != null && ms > 0 ? [{ ...stage, ms }] : [];
  });
}

export function totalOf(one: Explanation): number {
  return one.timings_ms?.total ?? 0;
}
