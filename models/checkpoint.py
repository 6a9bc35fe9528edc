"""The converted format on disk: encoded tensors in one safetensors file per layer.

A checkpoint is a folder that appears whole, by one rename, with a manifest of the size and sha256
of every file. Sizes are checked at every start, digests on demand. Whatever does not match is taken
as absent, and the caller converts again.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.config import ModelConfig
from models.errors import CorruptWeightsError
from models.files import disk_full_as_error, flush_to_disk, sha256_of_file
from models.layout import canonical_tensors
from models.progress import Progress, ProgressCallback
from models.quantize import Precision, encode_tensor
from models.sources.source import WeightSource

FORMAT_VERSION = 1
"""Raised with every change of ``layout`` or ``quantize`` that alters stored tensors."""

_MANIFEST = "manifest.json"
_CONFIG = "config.json"
_TOKENIZER = "tokenizer.json"
_LAYER = re.compile(r"layers\.(\d+)\.")
_SHARED = "shared.safetensors"


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint whose files have the sizes that its manifest states."""

    folder: Path
    name: str
    fingerprint: str
    precision: Precision
    files: tuple[tuple[str, int, str], ...]  # name, size in bytes, sha256

    @property
    def tokenizer_path(self) -> Path:
        """The tokenizer.json."""
        return self.folder / _TOKENIZER

    @property
    def size_bytes(self) -> int:
        """Bytes on disk, without the manifest."""
        return sum(size for _, size, _ in self.files)

    def config(self) -> ModelConfig:
        """Return the network's shape; raises CorruptWeightsError."""
        try:
            raw = json.loads((self.folder / _CONFIG).read_text(encoding="utf-8"))
            return ModelConfig.from_json(raw)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _damaged(self.folder / _CONFIG, error) from error

    def weights(self) -> dict[str, Tensor]:
        """Return every encoded tensor, mapped from disk; raises CorruptWeightsError."""
        weights: dict[str, Tensor] = {}
        for name, _, _ in self.files:
            if not name.endswith(".safetensors"):
                continue
            try:
                weights |= _mapped_tensors(self.folder / name)
            except (SafetensorError, OSError) as error:
                raise _damaged(self.folder / name, error) from error
        return weights

    def verify(self, progress: ProgressCallback) -> None:
        """Read every byte and compare digests; raises CorruptWeightsError at the first mismatch."""
        num_bytes_done = 0
        for name, size_bytes, digest in self.files:
            if sha256_of_file(self.folder / name) != digest:
                raise CorruptWeightsError(
                    f"{self.folder / name} has changed since it was written (sha256 differs); run "
                    f"`fimble models pull {self.name}` to make it again"
                )
            num_bytes_done += size_bytes
            progress(Progress("verifying", num_bytes_done, self.size_bytes))


def _mapped_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file, each with a mapping of its own, which ends with the tensor."""
    with safe_open(str(path), framework="pt", device="cpu") as file:
        names = list(file.keys())
    tensors = {}
    for name in names:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            tensors[name] = file.get_tensor(name)
    return tensors


def checkpoints_folder(cache_dir: Path) -> Path:
    """Return the folder that holds all checkpoints."""
    return cache_dir / "checkpoints"


def checkpoint_folder(cache_dir: Path, fingerprint: str, precision: Precision) -> Path:
    """Return where the checkpoint of this source, precision and format belongs."""
    return checkpoints_folder(cache_dir) / f"{fingerprint}-{precision}-v{FORMAT_VERSION}"


def open_checkpoint(folder: Path) -> StoredCheckpoint | None:
    """Return the checkpoint in ``folder``; None if it is absent, partial or of another format."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        if manifest["format_version"] != FORMAT_VERSION:
            return None
        files = tuple(
            (str(n), int(v["size"]), str(v["sha256"])) for n, v in manifest["files"].items()
        )
        if any((folder / name).stat().st_size != size for name, size, _ in files):
            return None
        return StoredCheckpoint(
            folder,
            manifest["name"],
            manifest["fingerprint"],
            Precision(manifest["precision"]),
            files,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def list_checkpoints(cache_dir: Path) -> list[StoredCheckpoint]:
    """Return the usable checkpoints under ``cache_dir``, by name."""
    folders = checkpoints_folder(cache_dir).glob("*-v*")
    found = [checkpoint for folder in folders if (checkpoint := open_checkpoint(folder))]
    return sorted(found, key=lambda checkpoint: (checkpoint.name, checkpoint.precision))


def convert(
    source: WeightSource, folder: Path, precision: Precision, progress: ProgressCallback
) -> StoredCheckpoint:
    """Write the checkpoint of ``source`` into ``folder``, replacing a broken one.

    Holds one layer in memory. The caller holds the lock of ``folder``.

    Raises:
        DiskFullError: It does not fit; nothing of it is left and nothing else was touched.
        CorruptWeightsError: A tensor is missing or unreadable.
        UnsupportedModelError: The network or a tensor's type cannot be used.
        TokenizerError: The vocabulary cannot be used.
    """
    with disk_full_as_error(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        for abandoned in folder.parent.glob(f".{folder.name}.*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            _write(source, unfinished, precision, progress)
            if folder.exists():
                shutil.rmtree(folder)
            unfinished.rename(folder)
            flush_to_disk(folder.parent)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    stored = open_checkpoint(folder)
    if stored is None:
        raise CorruptWeightsError(f"{folder} does not hold what was just written; check the disk")
    return stored


def encoded_tensors(
    source: WeightSource, config: ModelConfig, precision: Precision
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield each canonical name with its stored tensors; raises CorruptWeightsError."""
    try:
        for name, tensor in canonical_tensors(config, source.tensor):
            yield name, encode_tensor(name, tensor, precision)
    except (KeyError, RuntimeError, ValueError) as error:
        raise CorruptWeightsError(
            f"{source.name}: a tensor is missing or has the wrong shape for its config ({error}); "
            "fetch the model again"
        ) from error


def _write(
    source: WeightSource, folder: Path, precision: Precision, progress: ProgressCallback
) -> None:
    stage = f"preparing {source.name} ({precision}, once)"
    progress(Progress(stage, 0, None, "layers"))
    config = source.config()
    (folder / _CONFIG).write_text(json.dumps(config.to_json(), indent=1), encoding="utf-8")
    (folder / _TOKENIZER).write_text(source.tokenizer_json(), encoding="utf-8")
    shared: dict[str, Tensor] = {}
    layer: dict[str, Tensor] = {}
    current: int | None = None
    for name, tensors in encoded_tensors(source, config, precision):
        match = _LAYER.match(name)
        layer_idx = int(match[1]) if match else None
        if layer_idx != current:
            _save_layer(layer, current, folder)
            progress(Progress(stage, (current or 0) + bool(layer), config.num_layers, "layers"))
            layer, current = {}, layer_idx
        (shared if layer_idx is None else layer).update(tensors)
    _save_layer(layer, current, folder)
    _save(shared, folder / _SHARED)
    _write_manifest(source, folder, precision)
    progress(Progress(stage, config.num_layers, config.num_layers, "layers"))


def _save_layer(tensors: dict[str, Tensor], layer_idx: int | None, folder: Path) -> None:
    if layer_idx is not None:
        _save(tensors, folder / f"layer-{layer_idx:03d}.safetensors")


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def _write_manifest(source: WeightSource, folder: Path, precision: Precision) -> None:
    files: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        flush_to_disk(path)
        files[path.name] = {"size": path.stat().st_size, "sha256": sha256_of_file(path)}
    manifest = {
        "format_version": FORMAT_VERSION,
        "name": source.name,
        "fingerprint": source.fingerprint,
        "precision": str(precision),
        "files": files,
    }
    path = folder / _MANIFEST
    path.write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    flush_to_disk(path)
    flush_to_disk(folder)


def _damaged(path: Path, error: Exception) -> CorruptWeightsError:
    return CorruptWeightsError(
        f"{path} is damaged ({error}); run `fimble models pull` to repair it"
    )
