"""The user's settings file: where it is, and what it says about where the daemon is.

No heavy imports: the proxy of every editor looks here at its start. ``config_files`` reads the whole
file and says what is wrong with it.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

CONFIG_VARIABLE = "FIMBLE_CONFIG"
MAX_NUM_BYTES = 1_000_000


class UnusableFileError(Exception):
    """Why a file cannot be read; the message begins with what is wrong and ends with the remedy."""


def user_file_path(environment: Mapping[str, str], directory: str = "") -> Path:
    """Return where the user's file is or would be.

    ``FIMBLE_CONFIG`` names another, relative to ``directory`` or else the working folder.
    """
    named = environment.get(CONFIG_VARIABLE, "")
    if named:
        return Path(os.path.abspath(os.path.join(directory, os.path.expanduser(named))))
    return _config_folder() / "config.toml"


def daemon_path(key: str, environment: Mapping[str, str]) -> str:
    """Return the path that the setting ``key`` names, absolute, or empty if it is not set.

    Variables and the user's file are asked, as every process does that looks for the daemon. A file
    that cannot be used counts as empty here.
    """
    written = environment.get("FIMBLE_" + key.replace(".", "_").upper(), "")
    if written:
        return os.path.abspath(os.path.expanduser(written))
    path = user_file_path(environment)
    text = _text_in(path, key)
    return os.path.join(path.parent, os.path.expanduser(text)) if text else ""


def read_regular(path: Path, max_num_bytes: int, *, is_link_allowed: bool) -> tuple[bytes, int]:
    """Return all bytes of a file and the user it belongs to.

    Never waits for a pipe, and follows a link only where that is allowed.

    Raises:
        FileNotFoundError: There is none.
        UnusableFileError: It is no regular file, too large, or not readable.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    if not is_link_allowed:
        if os.path.islink(
            path
        ):  # said more clearly than the system would, and where it has no flag
            raise UnusableFileError("a link; put the file itself into the project")
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        with open(os.open(path, flags), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise UnusableFileError("not a regular file; remove it or put a file there")
            content = file.read(max_num_bytes + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(path) from None
    except (OSError, ValueError) as error:  # ValueError: a zero in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise UnusableFileError(f"cannot be read: {reason}; mend its permissions") from error
    if len(content) > max_num_bytes:
        raise UnusableFileError(f"larger than {max_num_bytes} bytes; settings fill a page")
    return content, found.st_uid


def _config_folder() -> Path:
    """Return the user's folder for configuration.

    On Linux without the library that knows: importing it costs an eighth of a proxy's start.
    """
    home = os.environ.get("HOME", "")
    chosen = os.environ.get("XDG_CONFIG_HOME", "").strip() or os.path.join(home, ".config")
    if sys.platform == "linux" and os.path.isabs(chosen):
        return Path(chosen) / "fimble"
    import platformdirs

    return platformdirs.user_config_path("fimble", appauthor=False)


def _text_in(path: Path, key: str) -> str:
    """Return the text that the user's file has under ``key``, empty if none."""
    if not os.path.exists(path):
        return ""
    import tomllib  # costs time, and few have a file

    try:
        content, _ = read_regular(path, MAX_NUM_BYTES, is_link_allowed=True)
        tree = tomllib.loads(content.decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError, UnusableFileError):
        return ""
    section, _, name = key.partition(".")
    wrapped = tree.get("fimble")
    found = ""
    for outer, value in (wrapped if isinstance(wrapped, dict) else tree).items():
        inner = value.get(name) if outer == section and isinstance(value, dict) else None
        written = value if outer == key else inner
        found = written if isinstance(written, str) else found
    return found
