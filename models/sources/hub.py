"""A model by its hub id, through the hub's own client and its own cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from tqdm.auto import tqdm

from models.errors import DownloadError
from models.progress import Progress, ProgressCallback
from models.sources.directory import DirectorySource

# Weights and text only: no pickles, no code.
_PATTERNS = ["*.safetensors", "*.json"]


def fetch_from_hub(
    repo_id: str, progress: ProgressCallback, *, allow_network: bool
) -> DirectorySource:
    """Return the files of ``repo_id``, taking up a download that was cut off before.

    The hub is asked only if a file is missing here: starting up must not depend on a network. Files
    stay in the hub client's cache, where other programs that use the model find them too.

    Raises:
        DownloadError: There is no such model, no permission or no network.
    """
    try:
        return _snapshot(repo_id, progress, allow_network=allow_network)
    except GatedRepoError as error:
        raise DownloadError(
            f"{repo_id} asks for its licence to be accepted: do so on its hub page, then log in "
            "with `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise DownloadError(f"the hub has no model {repo_id}, or it is private") from error
    except LocalEntryNotFoundError as error:
        raise DownloadError(
            f"{repo_id} is not on this machine and the hub was not reached; connect and run "
            f"`fimble models pull {repo_id}`"
        ) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise DownloadError(f"fetching {repo_id} failed: {error}; run the same again") from error


def _snapshot(repo_id: str, progress: ProgressCallback, *, allow_network: bool) -> DirectorySource:
    bar = _reporting_bar(f"fetching {repo_id}", progress)
    for local_only in (True, False) if allow_network else (True,):
        try:
            folder = snapshot_download(
                repo_id, allow_patterns=_PATTERNS, local_files_only=local_only, tqdm_class=bar
            )
        except LocalEntryNotFoundError:
            if not local_only or not allow_network:
                raise
            continue
        source = DirectorySource(Path(str(folder)), name=repo_id)
        if source.is_complete():
            return source
    raise DownloadError(
        f"{repo_id} has no tokenizer.json or lacks safetensors files here; check its page on the "
        f"hub, then run `fimble models pull {repo_id}`"
    )


def _reporting_bar(stage: str, progress: ProgressCallback) -> type[Any]:
    """A tqdm class that draws nothing: the front end decides how progress looks."""

    class ReportingBar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            super().__init__(*args, **(kwargs | {"disable": True}))
            self._unit = kwargs.get("unit", "it")
            self._num_done = int(kwargs.get("initial") or 0)

        def update(self, n: float | None = 1) -> None:
            self._num_done += int(n or 0)
            if self._unit == "B":
                total = int(self.total) if self.total else None
                progress(Progress(stage, self._num_done, total))

    return ReportingBar
