from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import UnknownModelError
from models.registry import DEFAULT_MODEL, HubId, recommend, registered_models, resolve

GIB = 1 << 30


def test_every_registered_file_is_pinned_by_version_size_and_digest() -> None:
    for name, model in registered_models().items():
        assert name == model.name
        assert len(model.file.sha256) == 64
        assert model.file.size_bytes > 0
        assert all(part.version and part.member for part in model.file.parts)
    members = [part.member for part in registered_models()[DEFAULT_MODEL].file.parts]
    assert members[0].endswith("part01.bin")
    assert len(members) == len(set(members))


def test_a_name_a_path_and_a_hub_id_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "some.gguf"
    file.touch()
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "local").mkdir()
    assert resolve("default") == resolve(DEFAULT_MODEL) == registered_models()[DEFAULT_MODEL]
    assert resolve(file) == resolve("some.gguf") == file
    assert resolve("org/local") == tmp_path / "org" / "local"
    assert resolve("org/Remote-1.5B") == HubId("org/Remote-1.5B")


@pytest.mark.parametrize(
    "text", ["nothing", "", "./a/b", "/no/such", "a/b/c", "org/absent.gguf", "../x/y", "a b/c"]
)
def test_anything_else_is_unknown(text: str) -> None:
    with pytest.raises(UnknownModelError):
        resolve(text)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownModelError, match=r"did you mean qwen2\.5-coder-1\.5b"):
        resolve("Qwen2.5-coder-1.5")
    with pytest.raises(UnknownModelError, match="registered are"):
        resolve("zzz")


@pytest.mark.parametrize(
    ("memory_gib", "has_cuda", "tokens_per_s", "name"),
    [
        (1, False, None, DEFAULT_MODEL),
        (16, False, None, DEFAULT_MODEL),
        (16, False, 20.0, DEFAULT_MODEL),
        (16, False, 5.0, DEFAULT_MODEL),
        (16, False, 60.0, "qwen2.5-coder-1.5b"),
        (8, False, 60.0, DEFAULT_MODEL),
        (24, True, None, "qwen2.5-coder-1.5b"),
        (2.1, True, None, DEFAULT_MODEL),
    ],
)
def test_recommendation_follows_memory_and_speed(
    memory_gib: float, has_cuda: bool, tokens_per_s: float | None, name: str
) -> None:
    advice = recommend(int(memory_gib * GIB), has_cuda, tokens_per_s)
    assert advice.model.name == name
    assert advice.model.has_fim
    assert advice.reason
