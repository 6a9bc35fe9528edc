"""The host of a process that serves people: real services, and the indexes of their workspaces.

Nothing here imports torch; the loader's thread does, for the first client that needs a model.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from lsp_server.host import ModelHost
from lsp_server.learning.feedback import Feedback
from lsp_server.learning.store import ObservationStore, default_store_path
from lsp_server.settings import DENSE_OFF, DENSE_STATIC, IndexSettings, Settings
from lsp_server.workspace_root import too_wide
from retrieval.workspaces import IndexOptions, Workspaces

if TYPE_CHECKING:
    from completion.service import CompletionService
    from models.progress import ProgressCallback
    from retrieval.dense.sentence import SentenceEmbedder


def new_host(settings: IndexSettings) -> ModelHost:
    """Return the host of this process, which indexes workspaces as ``settings`` say."""
    workspaces = Workspaces(index_options(settings) if settings.enabled else None)
    host = ModelHost(
        lambda wanted, progress: build(wanted, progress, workspaces),
        workspaces,
        Feedback(ObservationStore(default_store_path())),
    )
    workspaces.give_way(lambda: host.is_idle)
    if settings.enabled and settings.dense not in (DENSE_OFF, DENSE_STATIC):
        workspaces.use_embedder(_encoder(settings))
    return host


def _encoder(settings: IndexSettings) -> SentenceEmbedder:
    """Return the encoder that ``settings`` name; it is loaded when there is something to embed."""
    from retrieval.dense.sentence import SentenceEmbedder

    name = settings.dense
    folder = os.path.expanduser(name) if name.startswith("~") else name
    return SentenceEmbedder(folder, settings.dense_layers or None)


def build(
    settings: Settings, progress: ProgressCallback, workspaces: Workspaces
) -> CompletionService:
    """Build a service; runs in the loader's thread, which is where torch is imported."""
    from lsp_server.app import build_service

    return build_service(settings, progress, workspaces)


def index_options(settings: IndexSettings, *, kept_fresh: bool = True) -> IndexOptions:
    """Return how workspaces are indexed."""
    folder = Path(settings.folder).expanduser() if settings.folder else default_index_folder()
    return IndexOptions(
        folder=folder,
        max_file_bytes=settings.max_file_kb << 10,
        max_num_files=settings.max_num_files,
        num_workers=settings.num_workers,
        kept_fresh=kept_fresh,
        environment=dict(os.environ),
        too_wide=too_wide(),
        embeds_tokens=kept_fresh and settings.dense == DENSE_STATIC,
    )


def default_index_folder() -> Path:
    """Return where this user's indexes are kept."""
    return Path(platformdirs.user_cache_dir("fimble", appauthor=False)) / "indexes"
