"""Neural networks: one RoPE decoder, its slot pool of keys and values, tokenizers, checkpoints. Never data classes."""
