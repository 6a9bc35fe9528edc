"""The KV cache follows the document: edit plans, patches, repair and healing (its own issue fills it)."""
