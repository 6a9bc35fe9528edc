// The server's explanation of one request. Servers of other versions may leave out what is here and
// say more, so nothing is taken for granted.

export interface Explanation {
  readonly id?: string;
  readonly time?: number | null;
  readonly path?: string | null;
  readonly uri?: string | null;
  readonly language_id?: string | null;
  readonly line?: number | null;
  readonly column?: number | null;
  readonly outcome?: string;
  readonly reason?: string | null;
  readonly sentence?: string;
  readonly text?: string | null;
  readonly confidence?: number | null;
  readonly finish_reason?: string | null;
  readonly source?: string | null;
  /** The request that wrote the text, if it is an earlier one. */
  readonly kept_from?: string | null;
  readonly candidates?: readonly (string | { readonly text?: string })[] | null;
  readonly model?: string | null;
  readonly exactness?: string | null;
  readonly age?: unknown;
  readonly timings_ms?: Readonly<Record<string, number | null>> | null;
  readonly prompt?: PromptUse | null;
  readonly output?: readonly OutputPart[] | null;
  readonly speculation?: Speculation | null;
  readonly context?: readonly ContextChunk[] | null;
  readonly feedback?: { readonly shown?: boolean; readonly accepted?: string | null } | null;
}

export interface PromptUse {
  readonly num_tokens?: number | null;
  readonly num_cached?: number | null;
  readonly num_patched?: number | null;
  readonly num_new?: number | null;
  readonly num_healed?: number | null;
}

export interface OutputPart {
  readonly text?: string;
  readonly origin?: string;
}

export interface Speculation {
  readonly num_forward_passes?: number | null;
  readonly num_draft_tokens?: number | null;
  readonly num_accepted_tokens?: number | null;
}

export interface ContextChunk {
  readonly path?: string;
  readonly start_line?: number;
  readonly end_line?: number;
  readonly score?: number | null;
  readonly source?: string | null;
  readonly reason?: string | null;
}
