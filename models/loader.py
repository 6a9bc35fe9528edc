"""From a name or a path to a model that is ready to run, fetching and converting what is missing."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import torch

from models.checkpoint import (
    StoredCheckpoint,
    checkpoint_folder,
    checkpoints_folder,
    convert,
    encoded_tensors,
    list_checkpoints,
    open_checkpoint,
)
from models.config import ModelConfig
from models.decoder import Decoder
from models.errors import CorruptWeightsError, DownloadError, ModelError
from models.files import exclusive
from models.progress import ProgressCallback, ignore_progress
from models.quantize import Precision
from models.registry import HubId, RegisteredModel, resolve
from models.sources.directory import DirectorySource
from models.sources.gguf import GGUFSource
from models.sources.packaged import fetch_packaged, gguf_path, has_whole_file
from models.sources.source import WeightSource
from models.threads import in_own_thread
from models.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A network with its vocabulary. ``fingerprint`` names weights, precision and format."""

    name: str
    fingerprint: str
    config: ModelConfig
    decoder: Decoder
    tokenizer: Tokenizer
    device: torch.device
    precision: Precision


def load_model(
    name_or_path: str | Path,
    *,
    device: str = "auto",
    precision: str = "auto",
    cache_dir: Path | None = None,
    progress: ProgressCallback | None = None,
    allow_network: bool = True,
    compile_elementwise: bool = False,
) -> LoadedModel:
    """Return a model ready to run.

    Args:
        name_or_path: A registered name, a Hugging Face folder, a .gguf file or a hub id.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        precision: "auto" or a value of ``Precision``; auto is int8 on a CPU, bf16 elsewhere.
        cache_dir: Where fetched and converted files live; the user's cache folder if None.
        progress: Told how far fetching and converting are.
        allow_network: Whether missing weights may be fetched.
        compile_elementwise: See ``Decoder``; the first passes then take a minute longer.

    Raises:
        ModelError: Its subclass says what was wrong and the message what to do.
    """
    return in_own_thread(
        lambda: _load(
            name_or_path,
            device,
            precision,
            cache_dir or default_cache_dir(),
            progress or ignore_progress,
            allow_network=allow_network,
            compile_elementwise=compile_elementwise,
        )
    )


def pull(
    name_or_path: str | Path,
    *,
    device: str = "auto",
    precision: str = "auto",
    cache_dir: Path | None = None,
    progress: ProgressCallback | None = None,
) -> StoredCheckpoint | None:
    """Fetch and convert a model, and repair it where a digest does not match.

    Returns None for float weights that are used where they lie. Raises ModelError.
    """
    chosen = choose_precision(precision, choose_device(device))
    report = progress or ignore_progress
    folder = cache_dir or default_cache_dir()
    source = find_source(name_or_path, folder, report, allow_network=True)
    if source.is_float and chosen in (Precision.BF16, Precision.FLOAT32):
        return None
    stored = ensure_checkpoint(source, folder, chosen, report)
    try:
        stored.verify(report)
    except CorruptWeightsError:
        stored = ensure_checkpoint(source, folder, chosen, report, renew=True)
    return stored


def find_source(
    name_or_path: str | Path, cache_dir: Path, progress: ProgressCallback, *, allow_network: bool
) -> WeightSource:
    """Return where the weights come from, on this machine after the call; raises ModelError."""
    reference = resolve(name_or_path)
    if isinstance(reference, HubId):
        # Its client takes a quarter of a second to import, which no other model should cost.
        from models.sources.hub import fetch_from_hub

        return fetch_from_hub(reference.repo_id, progress, allow_network=allow_network)
    if isinstance(reference, Path):
        return DirectorySource(reference) if reference.is_dir() else GGUFSource(reference)
    return _PackagedSource(reference, cache_dir, progress, allow_network)


def ensure_checkpoint(
    source: WeightSource,
    cache_dir: Path,
    precision: Precision,
    progress: ProgressCallback,
    *,
    renew: bool = False,
) -> StoredCheckpoint:
    """Return the checkpoint of ``source``, converting if it is absent or broken; raises ModelError."""
    folder = checkpoint_folder(cache_dir, source.fingerprint, precision)
    stored = open_checkpoint(folder)
    if stored is not None and not renew:
        return stored
    with exclusive(folder.parent / f".{folder.name}.lock", progress):
        other = open_checkpoint(folder)  # another process may have made it while we waited
        if other is not None and not renew:
            return other
        source.prepare()
        return convert(source, folder, precision, progress)


def downloads_folder(cache_dir: Path, model: RegisteredModel) -> Path:
    """Return where the fetched file of a registered model is kept.

    It stays after conversion: every further precision and every repair is made from it, which costs
    less than fetching it again; ``fimble models rm`` removes it.
    """
    return cache_dir / "downloads" / model.name


def model_name(name_or_path: str | Path) -> str:
    """Return the name under which checkpoints of ``name_or_path`` are listed.

    Raises:
        UnknownModelError: It means nothing.
    """
    reference = resolve(name_or_path)
    if isinstance(reference, HubId):
        return reference.repo_id
    if isinstance(reference, Path):
        return reference.name if reference.is_dir() else reference.stem
    return reference.name


def installed(name_or_path: str | Path, cache_dir: Path) -> list[StoredCheckpoint]:
    """Return the prepared checkpoints of a model; raises UnknownModelError."""
    name = model_name(name_or_path)
    return [stored for stored in list_checkpoints(cache_dir) if stored.name == name]


def remove(name_or_path: str | Path, cache_dir: Path) -> int:
    """Delete what the cache folder holds of a model and return the bytes freed.

    Files that the user brought, and the hub client's own cache, are left alone.

    Raises:
        UnknownModelError: It means nothing.
    """
    folders = [stored.folder for stored in installed(name_or_path, cache_dir)]
    reference = resolve(name_or_path)
    if isinstance(reference, RegisteredModel):
        folders.append(downloads_folder(cache_dir, reference))
        # Broken checkpoints are not listed, but their folder starts with the known digest.
        pattern = f"{reference.file.sha256[:16]}-*"
        folders.extend(checkpoints_folder(cache_dir).glob(pattern))
    num_bytes = 0
    for folder in dict.fromkeys(folders):
        num_bytes += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        shutil.rmtree(folder, ignore_errors=True)
    return num_bytes


def default_cache_dir() -> Path:
    """Return the user's cache folder for fimble, as the operating system defines it."""
    return platformdirs.user_cache_path("fimble", appauthor=False)


def choose_device(device: str) -> torch.device:
    """Return the device meant by ``device``; raises ModelError if this machine has none such."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ModelError(f"device {device!r} is unknown; use auto, cpu, cuda or mps") from error
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available.get(chosen.type, False):
        raise ModelError(f"device {chosen} is not available here; use cpu or auto")
    return chosen


def choose_precision(precision: str, device: torch.device) -> Precision:
    """Return the precision meant by ``precision``; raises ModelError for an unknown one."""
    if precision == "auto":
        return Precision.INT8 if device.type == "cpu" else Precision.BF16
    if precision not in set(Precision):
        raise ModelError(
            f"precision {precision!r} is unknown; use auto or one of {', '.join(Precision)}"
        )
    return Precision(precision)


class _PackagedSource(GGUFSource):
    """A registered model: fetched only when a checkpoint has to be made from it."""

    def __init__(
        self,
        model: RegisteredModel,
        cache_dir: Path,
        progress: ProgressCallback,
        allow_network: bool,
    ) -> None:
        folder = downloads_folder(cache_dir, model)
        super().__init__(gguf_path(model, folder), name=model.name, sha256=model.file.sha256)
        self._model, self._folder = model, folder
        self._progress, self._allow_network = progress, allow_network

    def prepare(self) -> None:
        """Have the whole file on disk; raises DownloadError, DiskFullError."""
        with exclusive(self._folder.parent / f".{self._folder.name}.lock", self._progress):
            if has_whole_file(self._model, self._folder):
                return
            if not self._allow_network:
                raise DownloadError(
                    f"{self._model.name} is not on this machine and fetching is switched off; run "
                    f"`fimble models pull {self._model.name}`"
                )
            fetch_packaged(self._model, self._folder, self._progress)


def _load(
    name_or_path: str | Path,
    device: str,
    precision: str,
    cache_dir: Path,
    progress: ProgressCallback,
    *,
    allow_network: bool,
    compile_elementwise: bool,
) -> LoadedModel:
    chosen_device = choose_device(device)
    chosen_precision = choose_precision(precision, chosen_device)
    source = find_source(name_or_path, cache_dir, progress, allow_network=allow_network)
    if source.is_float and chosen_precision in (Precision.BF16, Precision.FLOAT32):
        return _load_directly(source, chosen_device, chosen_precision, compile_elementwise)
    stored = ensure_checkpoint(source, cache_dir, chosen_precision, progress)
    try:
        return _load_stored(stored, chosen_device, compile_elementwise)
    except CorruptWeightsError:
        # The sizes were right and the content is not; the source still is, so make it again once.
        stored = ensure_checkpoint(source, cache_dir, chosen_precision, progress, renew=True)
        return _load_stored(stored, chosen_device, compile_elementwise)


def _load_stored(
    stored: StoredCheckpoint, device: torch.device, compile_elementwise: bool
) -> LoadedModel:
    config = stored.config()
    tokenizer = Tokenizer.from_file(stored.tokenizer_path)
    decoder = Decoder(
        config,
        stored.weights(),
        device,
        stored.precision,
        compile_elementwise=compile_elementwise,
    )
    fingerprint = stored.folder.name
    return LoadedModel(
        stored.name, fingerprint, config, decoder, tokenizer, device, stored.precision
    )


def _load_directly(
    source: WeightSource, device: torch.device, precision: Precision, compile_elementwise: bool
) -> LoadedModel:
    config = source.config()
    weights = {
        name: tensor
        for _, tensors in encoded_tensors(source, config, precision)
        for name, tensor in tensors.items()
    }
    decoder = Decoder(config, weights, device, precision, compile_elementwise=compile_elementwise)
    tokenizer = Tokenizer.from_json(source.tokenizer_json())
    fingerprint = f"{source.fingerprint}-{precision}"
    return LoadedModel(source.name, fingerprint, config, decoder, tokenizer, device, precision)
