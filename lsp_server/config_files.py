"""Settings in files: the user's own, and a project's, which may be hostile.

Nothing here raises for what a file holds: whatever cannot be used becomes a problem that names the
file and the remedy, and the rest counts.
"""

from __future__ import annotations

import os
import shlex
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs

from lsp_server.errors import TrustStoreError
from lsp_server.options import CONFIG_VARIABLE, Options, Problem, from_mapping, shown
from lsp_server.settings import all_specs
from lsp_server.trust import TrustStore

PROJECT_FILE_NAME = ".fimble.toml"

# Settings fill a page. The parser takes time quadratic in the parts of a dotted name, ten seconds
# for the longest that fits into a project's file, so names are limited as well.
_MAX_USER_BYTES = 1_000_000
_MAX_PROJECT_BYTES = 32_768
_MAX_DOTS_PER_LINE = 100
_ROOT_USER = 0


class _UnusableFileError(Exception):
    """Why a file cannot be read; the message begins with what is wrong and ends with the remedy."""


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """The settings file of a project, as it was read once.

    ``content`` is ``None`` where it could not be read. ``refused`` holds the keys that were left
    out of ``options`` for want of trust.
    """

    path: Path
    options: Options
    content: bytes | None = None
    is_trusted: bool = False
    refused: tuple[str, ...] = ()


def user_file_path(environment: Mapping[str, str], directory: str = "") -> Path:
    """Return where the user's file is or would be.

    ``FIMBLE_CONFIG`` names another, relative to ``directory`` or else the working folder.
    """
    named = environment.get(CONFIG_VARIABLE, "")
    if named:
        return Path(os.path.abspath(os.path.join(directory, os.path.expanduser(named))))
    return platformdirs.user_config_path("fimble", appauthor=False) / "config.toml"


def read_user_file(environment: Mapping[str, str], directory: str = "") -> Options:
    """Read the file of ``user_file_path``; a missing one is empty unless it was named."""
    path = user_file_path(environment, directory)
    origin = shown(str(path))
    try:
        content = _read_regular(path, _MAX_USER_BYTES, is_link_allowed=True)
    except FileNotFoundError:
        if environment.get(CONFIG_VARIABLE, ""):
            message = f"{origin}: there is no such file; mend or unset {CONFIG_VARIABLE}"
            return Options({}, (Problem(message, True),), origin)
        return Options({}, (), origin)
    except _UnusableFileError as error:
        return Options({}, (Problem(f"{origin}: {error}", True),), origin)
    return _parse(content, origin).anchored(path.parent)


def find_project(path: Path) -> Path | None:
    """Return the nearest folder with a project's file, from ``path`` upwards."""
    start = Path(os.path.abspath(path))
    for folder in (start, *start.parents):
        if os.path.lexists(folder / PROJECT_FILE_NAME):
            return folder
    return None


def read_project_file(folder: Path, store: TrustStore) -> ProjectFile | None:
    """Read the file of the project in ``folder``; ``None`` if it has none.

    A file that belongs to somebody else counts only where it is trusted; of any other, what
    concerns more than the project does.
    """
    path = folder / PROJECT_FILE_NAME
    origin = shown(str(path))
    try:
        content = _read_regular(path, _MAX_PROJECT_BYTES, is_link_allowed=False)
        owner = path.lstat().st_uid
    except FileNotFoundError:
        return None
    except (_UnusableFileError, OSError) as error:
        return ProjectFile(path, Options({}, (Problem(f"{origin}: {error}", True),), origin))
    options = _parse(content, origin).anchored(folder)
    try:
        is_trusted = store.trusts(folder, content)
    except TrustStoreError as error:
        is_trusted = False
        options = replace(options, problems=(*options.problems, Problem(str(error), False)))
    whole = ProjectFile(path, options, content, is_trusted)
    if is_trusted:
        return whole
    is_foreign = hasattr(os, "getuid") and owner not in (os.getuid(), _ROOT_USER)
    return _without_refused(whole, owner if is_foreign else None)


def _without_refused(file: ProjectFile, foreign_owner: int | None) -> ProjectFile:
    """Return ``file`` without what needs trust; everything does if a ``foreign_owner`` wrote it."""
    specs = all_specs()
    refused = tuple(
        key
        for key, value in file.options.values.items()
        if foreign_owner is not None or specs[key].rule.needs_trust(value)
    )
    if not refused:
        return file
    remedy = f"fimble config trust {shlex.quote(str(file.path.parent))}"
    whose = "" if foreign_owner is None else f", which belongs to user {foreign_owner}"
    message = (
        f"{file.options.origin}: ignored until you trust this file{whose}: {', '.join(refused)}; "
        f"read it, then run `{shown(remedy)}`"
    )
    options = replace(
        file.options,
        values={key: value for key, value in file.options.values.items() if key not in refused},
        problems=(*file.options.problems, Problem(message, False)),
    )
    return replace(file, options=options, refused=refused)


def _parse(content: bytes, origin: str) -> Options:
    dotted = [line.count(b".") > _MAX_DOTS_PER_LINE for line in content.splitlines()]
    if any(dotted):
        line_number = dotted.index(True) + 1
        message = (
            f"{origin}: line {line_number} has more than {_MAX_DOTS_PER_LINE} dots; shorten it"
        )
        return Options({}, (Problem(message, True),), origin)
    try:
        tree = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"{origin}: line {line} is not UTF-8; save the file in that encoding"
        return Options({}, (Problem(message, True),), origin)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, or a number beyond int's limit
        reason = "too deeply nested" if isinstance(error, RecursionError) else shown(str(error))
        message = f"{origin}: not valid TOML: {reason}; nothing in the file counts until it is"
        return Options({}, (Problem(message, True),), origin)
    return from_mapping(tree, origin)


def _read_regular(path: Path, max_num_bytes: int, *, is_link_allowed: bool) -> bytes:
    """Return all bytes of a file, without ever waiting for a pipe or following a foreign link.

    Raises:
        FileNotFoundError: There is none.
        _UnusableFileError: It is no regular file, too large, or not readable.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    if not is_link_allowed:
        if path.is_symlink():  # said more clearly than the system would, and where it has no flag
            raise _UnusableFileError("a link; put the file itself into the project")
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        with open(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _UnusableFileError("not a regular file; remove it or put a file there")
            content = file.read(max_num_bytes + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(path) from None
    except (OSError, ValueError) as error:  # ValueError: a zero in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise _UnusableFileError(f"cannot be read: {reason}; mend its permissions") from error
    if len(content) > max_num_bytes:
        raise _UnusableFileError(f"larger than {max_num_bytes} bytes; settings fill a page")
    return content
