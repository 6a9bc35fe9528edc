// Written by scripts/generate_settings.py; do not edit.

/**
 * How a setting reaches the server: in a message, or as a variable of its process. One whose
 * default is ours and not the server's is always sent.
 */
export interface ServerSetting {
  readonly key: string;
  readonly variable?: string;
  readonly ownDefault?: unknown;
}

export const SERVER_SETTINGS: readonly ServerSetting[] = [
  { key: 'model.name' },
  { key: 'model.device' },
  { key: 'model.precision' },
  { key: 'model.cache_dir' },
  { key: 'model.offline' },
  { key: 'model.compile' },
  { key: 'model.num_threads' },
  { key: 'completion.enabled' },
  { key: 'completion.disabled_languages' },
  { key: 'completion.max_new_tokens' },
  { key: 'completion.deadline_ms' },
  { key: 'completion.num_candidates' },
  { key: 'completion.temperature' },
  { key: 'completion.top_p' },
  { key: 'completion.top_k' },
  { key: 'prompt.max_num_tokens' },
  { key: 'prompt.suffix_share' },
  { key: 'prompt.context_share' },
  { key: 'prompt.layout' },
  { key: 'engine.cache_mb' },
  { key: 'engine.prefetch' },
  { key: 'engine.min_confidence' },
  { key: 'engine.retrieval' },
  { key: 'engine.speculation' },
  { key: 'engine.early_exit' },
  { key: 'engine.draft_model' },
  { key: 'engine.patching' },
  { key: 'engine.heal_after_s' },
  { key: 'engine.chunk_tokens' },
  { key: 'engine.around_tokens' },
  { key: 'engine.snapshots' },
  { key: 'engine.snapshot_mb' },
  { key: 'index.enabled' },
  { key: 'index.folder', variable: 'FIMBLE_INDEX_FOLDER' },
  { key: 'index.max_file_kb', variable: 'FIMBLE_INDEX_MAX_FILE_KB' },
  { key: 'index.max_num_files', variable: 'FIMBLE_INDEX_MAX_NUM_FILES' },
  { key: 'index.num_workers', variable: 'FIMBLE_INDEX_NUM_WORKERS' },
  { key: 'index.dense', variable: 'FIMBLE_INDEX_DENSE' },
  { key: 'index.dense_layers', variable: 'FIMBLE_INDEX_DENSE_LAYERS' },
  { key: 'learning.enabled' },
  { key: 'learning.adaptive' },
  { key: 'server.wait_for_model', ownDefault: true },
  { key: 'server.log_level', variable: 'FIMBLE_SERVER_LOG_LEVEL' },
  { key: 'server.log_file', variable: 'FIMBLE_SERVER_LOG_FILE' },
  { key: 'server.log_format', variable: 'FIMBLE_SERVER_LOG_FORMAT' },
  { key: 'server.log_max_mb', variable: 'FIMBLE_SERVER_LOG_MAX_MB' },
  { key: 'server.runtime_dir', variable: 'FIMBLE_SERVER_RUNTIME_DIR' },
  { key: 'server.idle_shutdown_s', variable: 'FIMBLE_SERVER_IDLE_SHUTDOWN_S' },
  { key: 'server.unload_after_s', variable: 'FIMBLE_SERVER_UNLOAD_AFTER_S' },
  { key: 'server.nice', variable: 'FIMBLE_SERVER_NICE' },
];
