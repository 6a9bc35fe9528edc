"""BM25 over the chunks of a workspace: immutable segments on disk, open documents in memory."""
