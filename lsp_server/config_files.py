"""Settings in files: the user's own, and a project's, which may be hostile.

Nothing here raises for what a file holds: whatever cannot be used becomes a problem that names the
file and the remedy, and the rest counts.
"""

from __future__ import annotations

import os
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lsp_server.errors import TrustStoreError
from lsp_server.options import Options, Problem, from_mapping, shown
from lsp_server.settings import all_specs
from lsp_server.trust import TrustStore
from lsp_server.user_file import (
    CONFIG_VARIABLE,
    MAX_NUM_BYTES,
    UnusableFileError,
    read_regular,
    user_file_path,
)

PROJECT_FILE_NAME = ".fimble.toml"

# Settings fill a page. The parser takes time quadratic in the parts of a dotted name, ten seconds
# for the longest that fits into a project's file, so names are limited as well.
_MAX_PROJECT_BYTES = 32_768
_MAX_DOTS_PER_LINE = 100
_ROOT_USER = 0


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


def read_user_file(environment: Mapping[str, str], directory: str = "") -> Options:
    """Read the file of ``user_file_path``; a missing one is empty unless it was named."""
    path = user_file_path(environment, directory)
    origin = shown(str(path))
    try:
        content, _ = read_regular(path, MAX_NUM_BYTES, is_link_allowed=True)
    except FileNotFoundError:
        if environment.get(CONFIG_VARIABLE, ""):
            message = f"{origin}: there is no such file; mend or unset {CONFIG_VARIABLE}"
            return Options({}, (Problem(message, True),), origin)
        return Options({}, (), origin)
    except UnusableFileError as error:
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
        content, owner = read_regular(path, _MAX_PROJECT_BYTES, is_link_allowed=False)
        _refuse_long_names(content)
    except FileNotFoundError:
        return None
    except UnusableFileError as error:
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


def _refuse_long_names(content: bytes) -> None:
    """Raise UnusableFileError for names that would take the parser seconds."""
    for number, line in enumerate(content.splitlines(), 1):
        if line.count(b".") > _MAX_DOTS_PER_LINE:
            reason = f"line {number} has more than {_MAX_DOTS_PER_LINE} dots; shorten it"
            raise UnusableFileError(reason)


def _parse(content: bytes, origin: str) -> Options:
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
