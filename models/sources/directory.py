"""A folder as Hugging Face lays it out: config.json, tokenizer.json, safetensors in shards."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from models.config import ModelConfig
from models.errors import CorruptWeightsError, TokenizerError, UnsupportedModelError
from models.sources.source import fingerprint_of_files

_INDEX_NAME = "model.safetensors.index.json"
_SINGLE_NAME = "model.safetensors"


class DirectorySource:
    """Weights of a Hugging Face folder, read tensor by tensor through a memory map."""

    is_float = True

    def __init__(self, folder: Path, *, name: str | None = None) -> None:
        self._folder = folder
        self._name = name or folder.name
        if not (folder / "config.json").is_file():
            raise UnsupportedModelError(
                f"{folder} has no config.json; give a folder as Hugging Face lays it out, or a "
                ".gguf file"
            )

    @property
    def name(self) -> str:
        """The folder's name, or the hub id it came from."""
        return self._name

    @cached_property
    def fingerprint(self) -> str:
        """From the config, the vocabulary and both ends of every shard."""
        described = [self._folder / "config.json", self._folder / "tokenizer.json"]
        return fingerprint_of_files(
            [path for path in [*described, *self._shards] if path.is_file()]
        )

    def is_complete(self) -> bool:
        """Whether the vocabulary and every shard are there."""
        try:
            return (self._folder / "tokenizer.json").is_file() and bool(self._shards)
        except CorruptWeightsError:
            return False

    def prepare(self) -> None:
        """Nothing: the user brought the files."""

    def config(self) -> ModelConfig:
        """Return the shape that config.json and generation_config.json describe."""
        raw = _read_json(self._folder / "config.json")
        generation = self._folder / "generation_config.json"
        if generation.is_file():
            # Instruct checkpoints list there the further ids that end a text.
            raw |= {k: v for k, v in _read_json(generation).items() if k == "eos_token_id"}
        try:
            return ModelConfig.from_hf(raw)
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptWeightsError(
                f"{self._folder / 'config.json'} lacks or misstates {error}; fetch it again"
            ) from error

    def tokenizer_json(self) -> str:
        """Return tokenizer.json, with the BOS that tokenizer_config.json asks for."""
        path = self._folder / "tokenizer.json"
        if not path.is_file():
            raise TokenizerError(
                f"{self._folder} has no tokenizer.json; save the model's fast tokenizer there"
            )
        raw = _read_json(path)
        settings_path = self._folder / "tokenizer_config.json"
        settings = _read_json(settings_path) if settings_path.is_file() else {}
        if settings.get("add_bos_token") and not _has_template(raw):
            bos = settings.get("bos_token")
            content = bos.get("content") if isinstance(bos, dict) else bos
            raw["post_processor"] = bos_template(raw, str(content))
        return json.dumps(raw, ensure_ascii=False)

    def tensor(self, name: str) -> Tensor:
        """Return one tensor in the type it is stored in; raises KeyError, CorruptWeightsError."""
        path = self._path_of_tensor[name]
        try:
            with safe_open(str(path), framework="pt", device="cpu") as file:
                tensor: Tensor = file.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise _damaged(path, error) from error
        return tensor

    @cached_property
    def _shards(self) -> list[Path]:
        index_path = self._folder / _INDEX_NAME
        if index_path.is_file():
            names = set(_read_json(index_path).get("weight_map", {}).values())
        else:
            names = {_SINGLE_NAME}
        shards = [self._folder / name for name in sorted(names)]
        for path in shards:
            if not path.is_file():
                raise CorruptWeightsError(f"{path} is missing; fetch the model again")
        return shards

    @cached_property
    def _path_of_tensor(self) -> dict[str, Path]:
        paths: dict[str, Path] = {}
        for path in self._shards:
            try:
                with safe_open(str(path), framework="pt", device="cpu") as file:
                    paths |= dict.fromkeys(file.keys(), path)
            except (SafetensorError, OSError) as error:
                raise _damaged(path, error) from error
        return paths


def bos_template(tokenizer: dict[str, Any], bos: str) -> dict[str, Any] | None:
    """Return a post-processor that puts ``bos`` first; None if the vocabulary has no such token."""
    added = {token["content"]: token["id"] for token in tokenizer.get("added_tokens", ())}
    if bos not in added:
        return None
    token = {"SpecialToken": {"id": bos, "type_id": 0}}
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    return {
        "type": "TemplateProcessing",
        "single": [token, first],
        "pair": [token, first, second],
        "special_tokens": {bos: {"id": bos, "ids": [added[bos]], "tokens": [bos]}},
    }


def _has_template(tokenizer: dict[str, Any]) -> bool:
    return "TemplateProcessing" in json.dumps(tokenizer.get("post_processor"))


def _damaged(path: Path, error: Exception) -> CorruptWeightsError:
    return CorruptWeightsError(f"{path} is damaged ({error}); delete it and fetch it again")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise _damaged(path, error) from error
    if not isinstance(raw, dict):
        raise CorruptWeightsError(f"{path} holds no JSON object; fetch it again")
    return raw
