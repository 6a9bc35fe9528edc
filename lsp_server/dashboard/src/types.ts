// The server's JSON. Every field may be missing or null: servers of other versions are talked to too.

export type Maybe<T> = T | null | undefined;

export interface Timings {
  total?: Maybe<number>;
  [stage: string]: Maybe<number>;
}

export interface Span {
  text: string;
  state: string;
  segment: string;
  num_tokens: number;
}

export interface Prompt {
  num_tokens?: Maybe<number>;
  num_cached?: Maybe<number>;
  num_patched?: Maybe<number>;
  num_new?: Maybe<number>;
  num_healed?: Maybe<number>;
  spans?: Maybe<Span[]>;
}

export interface OutputToken {
  text: string;
  origin: string;
  logprob?: Maybe<number>;
}

export interface Speculation {
  num_forward_passes?: Maybe<number>;
  num_draft_tokens?: Maybe<number>;
  num_accepted_tokens?: Maybe<number>;
  by_source?: Maybe<Record<string, number>>;
}

export interface Chunk {
  path: string;
  start_line: number;
  end_line: number;
  text?: Maybe<string>;
  score?: Maybe<number>;
  source?: Maybe<string>;
  reason?: Maybe<string>;
}

export interface Feedback {
  shown?: Maybe<boolean>;
  accepted?: Maybe<string>;
  accepted_length?: Maybe<number>;
  kept?: Maybe<Record<string, number | null>>;
}

export interface Explanation {
  id: string;
  time: number;
  door?: Maybe<string>;
  client?: Maybe<string>;
  uri?: Maybe<string>;
  path?: Maybe<string>;
  language_id?: Maybe<string>;
  line?: Maybe<number>;
  column?: Maybe<number>;
  outcome?: Maybe<string>;
  reason?: Maybe<string>;
  sentence?: Maybe<string>;
  text?: Maybe<string>;
  confidence?: Maybe<number>;
  finish_reason?: Maybe<string>;
  source?: Maybe<string>;
  kept_from?: Maybe<string>;
  candidates?: Maybe<string[]>;
  model?: Maybe<string>;
  exactness?: Maybe<string>;
  age?: Maybe<number>;
  timings_ms?: Maybe<Timings>;
  prompt?: Maybe<Prompt>;
  output?: Maybe<OutputToken[]>;
  speculation?: Maybe<Speculation>;
  context?: Maybe<Chunk[]>;
  feedback?: Maybe<Feedback>;
}

export interface ModelStatus {
  name: string;
  state: string;
  num_clients?: Maybe<number>;
  num_waiting?: Maybe<number>;
  busy_s?: Maybe<number>;
  detail?: Maybe<string>;
  cache?: Maybe<CacheStatus>;
}

export interface CacheStatus {
  num_slots?: Maybe<number>;
  num_used_slots?: Maybe<number>;
  num_computed?: Maybe<number>;
  num_healed?: Maybe<number>;
}

export interface IndexStatus {
  folder: string;
  state: string;
  num_files?: Maybe<number>;
  num_chunks?: Maybe<number>;
  num_bytes?: Maybe<number>;
  num_open?: Maybe<number>;
  detail?: Maybe<string>;
}

export interface Status {
  version?: Maybe<string>;
  uptime_s?: Maybe<number>;
  models?: Maybe<ModelStatus[]>;
  indexes?: Maybe<IndexStatus[]>;
  cache?: Maybe<CacheStatus>;
  memory?: Maybe<{
    resident_bytes?: Maybe<number>;
    total_bytes?: Maybe<number>;
    available_bytes?: Maybe<number>;
  }>;
}

export interface Counts {
  shown: number;
  accepted: number;
  partly: number;
  typed?: Maybe<number>;
  dismissed?: Maybe<number>;
  accepted_chars?: Maybe<number>;
  acceptance?: Maybe<{ rate?: Maybe<number>; low?: Maybe<number>; high?: Maybe<number> }>;
  kept?: Maybe<Record<string, { ratio?: Maybe<number>; measured_chars?: Maybe<number> }>>;
  latency_ms?: Maybe<{ p50?: Maybe<number>; p95?: Maybe<number> }>;
}

export interface Group extends Counts {
  day: string;
  language: string;
  model: string;
}

export interface Stats {
  total?: Maybe<Counts>;
  groups?: Maybe<Group[]>;
  learnt?: Maybe<string[]>;
}
