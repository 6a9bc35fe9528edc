"""The composition root: settings in, a completion service out. Importing it loads torch."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import torch

from completion.config import CompletionConfig, EngineConfig, PromptConfig
from completion.repository_context import RepositoryContext
from completion.service import CompletionService
from lsp_server.cache_folder import cache_folder
from lsp_server.settings import ModelSettings, Settings
from models.loader import LoadedModel, default_cache_dir, load_model
from models.progress import ProgressCallback, ignore_progress
from models.threads import in_own_thread
from retrieval.workspaces import Workspaces

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from retrieval.dense.source import TokenVectors

_DEFAULT_NUM_THREADS = torch.get_num_threads()


def build_service(
    settings: Settings,
    progress: ProgressCallback = ignore_progress,
    workspaces: Workspaces | None = None,
) -> CompletionService:
    """Load the model that ``settings`` name, and its draft model, and return the service around it.

    Fetches weights that are missing unless that is switched off. Takes seconds. Context comes from
    the indexes of ``workspaces``; without them the current file is all that is shown.

    Raises:
        models.errors.ModelError: A model is unknown, broken, cannot be had, or does not fit.
        completion.errors.CompletionError: The two models do not go together, or the prompt is too long.
    """
    return in_own_thread(lambda: _build(settings, progress, workspaces))


def _build(
    settings: Settings, progress: ProgressCallback, workspaces: Workspaces | None
) -> CompletionService:
    _use_threads(settings.model.num_threads)
    model = _load(settings.model.name, settings.model, progress)
    drafting = settings.engine.draft_model
    draft = _load(drafting, settings.model, progress) if drafting else None
    if workspaces is None:
        return CompletionService(model, _config(settings), None, draft)
    if workspaces.wants_token_vectors:
        workspaces.use_embedder(token_vectors(model))
    return CompletionService(model, _config(settings), RepositoryContext(workspaces), draft)


def token_vectors(model: LoadedModel) -> TokenVectors:
    """Return the input embeddings of ``model``, for finding code by meaning.

    They hold its vocabulary and not its weights, so that a model that is dropped gives its memory
    back: from then on there is nothing to load.
    """
    from retrieval.dense.source import TokenVectors

    decoder = weakref.ref(model.decoder)

    def load() -> npt.NDArray[np.floating] | None:
        found = decoder()
        return None if found is None else found.token_vectors()

    return TokenVectors(model.fingerprint, model.tokenizer.encode, load)


def _load(name: str, wanted: ModelSettings, progress: ProgressCallback) -> LoadedModel:
    """Return the model ``name``, run as ``wanted`` says."""
    return load_model(
        name,
        device=wanted.device,
        precision=wanted.precision,
        cache_dir=cache_folder(wanted),
        progress=progress,
        allow_network=not wanted.offline,
        compile_elementwise=wanted.compile,
    )


def _use_threads(num_threads: int) -> None:
    """Compute with ``num_threads`` in threads that begin to compute from now on; 0: torch's own.

    The number is the process's, so one client's choice must not become the next client's default.
    """
    chosen = num_threads or _DEFAULT_NUM_THREADS
    if torch.get_num_threads() != chosen:  # saying what is so already has side effects on MKL
        torch.set_num_threads(chosen)


def _config(settings: Settings) -> CompletionConfig:
    """Return the part of the settings that the pipeline knows.

    Languages without suggestions are not passed on: they are a wish about what the editor shows,
    which may change while the service lives, and a script that asks is answered.
    """
    prompt, engine = settings.prompt, settings.engine
    return CompletionConfig(
        prompt=PromptConfig(
            max_num_tokens=prompt.max_num_tokens,
            suffix_share=prompt.suffix_share,
            context_share=prompt.context_share,
            layout=prompt.layout,
        ),
        engine=EngineConfig(
            cache_mb=engine.cache_mb,
            heal_after_s=engine.heal_after_s,
            chunk_tokens=engine.chunk_tokens,
            around_tokens=engine.around_tokens,
            # Not beside the weights: their folder may be shared between users.
            calibration_folder=default_cache_dir() / "calibration",
            draft_folder=default_cache_dir() / "drafts",
            trained_folder=cache_folder(settings.model) / "trained",
            snapshot_folder=default_cache_dir() / "sessions" if engine.snapshots else None,
            snapshot_mb=engine.snapshot_mb,
            max_new_tokens=settings.completion.max_new_tokens,
            prefetch_after_acceptance=engine.prefetch,
            min_confidence=engine.min_confidence,
            early_exit=engine.early_exit,
        ),
    )
