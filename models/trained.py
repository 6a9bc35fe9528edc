"""Files with what was trained for one model: small networks beside the weights that they belong to.

A file is bound to the digest of the weights' source, not to a precision: int8 and float32 weights of
one source are near enough to each other that one file serves both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.errors import CorruptWeightsError, UnsupportedModelError
from models.files import disk_full_as_error

FORMAT_VERSION = 1
"""Raised with every change of what the tensors of a kind mean."""

_VERSION, _SOURCE, _KIND = "format_version", "source", "kind"


@dataclass(frozen=True, slots=True)
class TrainedFile:
    """The content of a file: tensors by name, and words about them."""

    tensors: Mapping[str, Tensor]
    notes: Mapping[str, str]


def source_digest(fingerprint: str) -> str:
    """Return the part of ``LoadedModel.fingerprint`` that names the source of the weights."""
    return fingerprint.split("-", 1)[0]


def packaged_folder() -> Path:
    """Return the folder of the files that come with fimble."""
    return Path(__file__).parent / "trained_files"


def trained_path(folder: Path, fingerprint: str, kind: str) -> Path:
    """Return where the file of ``kind`` for the model of ``fingerprint`` belongs."""
    return folder / f"{source_digest(fingerprint)}-{kind}.safetensors"


def find_trained(fingerprint: str, kind: str, folder: Path | None = None) -> Path | None:
    """Return the file of ``kind`` for the model of ``fingerprint``, None if there is none.

    That in ``folder``, which a user trained, goes before the one that comes with fimble.
    """
    for place in (folder, packaged_folder()):
        if place is not None and (path := trained_path(place, fingerprint, kind)).exists():
            return path
    return None


def write_trained(path: Path, kind: str, fingerprint: str, trained: TrainedFile) -> None:
    """Write ``trained`` whole or not at all; raises DiskFullError."""
    metadata = {
        **trained.notes,
        _KIND: kind,
        _SOURCE: source_digest(fingerprint),
        _VERSION: str(FORMAT_VERSION),
    }
    with disk_full_as_error(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}")
        contiguous = {name: tensor.contiguous() for name, tensor in trained.tensors.items()}
        save_file(contiguous, unfinished, metadata)
        unfinished.replace(path)


def read_trained(path: Path, kind: str, fingerprint: str) -> TrainedFile:
    """Return what ``write_trained`` wrote for the model of ``fingerprint``.

    Raises:
        UnsupportedModelError: The file is of another kind, another format or another model's.
        CorruptWeightsError: It is missing or damaged.
    """
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            notes = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CorruptWeightsError(
            f"{path} cannot be read ({error}); train it again, or install fimble again if it came "
            "with it"
        ) from error
    wanted = {_KIND: kind, _VERSION: str(FORMAT_VERSION), _SOURCE: source_digest(fingerprint)}
    for name, value in wanted.items():
        if notes.get(name) != value:
            raise UnsupportedModelError(
                f"{path} was trained for another model: its {name} is {notes.get(name)!r}, "
                f"{value!r} is needed; train one for this model"
            )
    return TrainedFile(tensors, notes)
