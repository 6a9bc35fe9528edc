"""Where weights, and what was trained for them, are kept."""

from __future__ import annotations

from pathlib import Path

from lsp_server.settings import ModelSettings


def cache_folder(settings: ModelSettings) -> Path:
    """Return the folder that ``settings`` name, else the user's cache folder for fimble."""
    if settings.cache_dir:
        return Path(settings.cache_dir).expanduser()
    from models.loader import default_cache_dir  # loads torch

    return default_cache_dir()
