"""Where the daemon of a user is found: a private folder with a socket in it.

No heavy imports: the proxy of every editor reads this at its start.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lsp_server.errors import RuntimeFolderError
from lsp_server.user_file import daemon_path

# Linux has room for 107 bytes and a zero, macOS for 103.
_MAX_SOCKET_BYTES = 103
_FOLDER_MODE = 0o700
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class RuntimePaths:
    """The files of one daemon; they exist only as the comments say."""

    folder: Path

    @property
    def socket(self) -> Path:
        """The listening socket; may be left behind by a daemon that was killed."""
        return self.folder / "daemon.sock"

    @property
    def lock(self) -> Path:
        """Locked by a daemon for as long as it lives: tells a socket in use from a stale one."""
        return self.folder / "daemon.lock"

    @property
    def start_lock(self) -> Path:
        """Locked by whoever is starting a daemon."""
        return self.folder / "start.lock"

    @property
    def state(self) -> Path:
        """JSON object with ``pid``, ``version`` and ``protocol`` of the daemon."""
        return self.folder / "daemon.json"

    @property
    def startup_log(self) -> Path:
        """What a daemon wrote before its log was open."""
        return self.folder / "startup.log"


def users_paths(environment: Mapping[str, str]) -> RuntimePaths:
    """Return the paths of this user's daemon, as variables and the user's file say.

    Raises:
        RuntimeFolderError: See ``runtime_paths``.
    """
    return runtime_paths(daemon_path("server.runtime_dir", environment), environment)


def log_file(environment: Mapping[str, str]) -> Path:
    """Return the daemon's log, as variables, the user's file or the system's custom say."""
    chosen = daemon_path("server.log_file", environment)
    if chosen:
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_log_dir("fimble", appauthor=False)) / "daemon.log"


def runtime_paths(configured: str, environment: Mapping[str, str]) -> RuntimePaths:
    """Return the paths for the setting ``server.runtime_dir``; touches nothing.

    Raises:
        RuntimeFolderError: The socket's path is longer than the system allows.
    """
    paths = RuntimePaths(Path(configured).expanduser() if configured else _default(environment))
    num_bytes = len(os.fsencode(paths.socket))
    if num_bytes > _MAX_SOCKET_BYTES:
        raise RuntimeFolderError(
            f"{paths.socket} is {num_bytes} bytes long, a socket's path may have "
            f"{_MAX_SOCKET_BYTES}; set server.runtime_dir to a shorter folder"
        )
    return paths


def prepare(paths: RuntimePaths) -> None:
    """Create the folder, or make sure that nobody else can reach into it.

    Raises:
        RuntimeFolderError: It is a link, belongs to another user, or cannot be made private.
    """
    try:
        paths.folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        found = paths.folder.lstat()
    except OSError as error:
        raise RuntimeFolderError(
            f"{paths.folder} cannot be used: {error.strerror}; set server.runtime_dir"
        ) from error
    if not stat.S_ISDIR(found.st_mode):
        raise RuntimeFolderError(
            f"{paths.folder} is a link, not a folder; remove it, or set server.runtime_dir"
        )
    if found.st_uid != os.getuid():
        raise RuntimeFolderError(
            f"{paths.folder} belongs to user {found.st_uid}, not to you ({os.getuid()}); "
            "set server.runtime_dir to a folder of your own"
        )
    if found.st_mode & _OTHERS:
        paths.folder.chmod(_FOLDER_MODE)


def _default(environment: Mapping[str, str]) -> Path:
    """Return a folder that only this user can have made."""
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    if runtime and _is_own_folder(runtime):
        return Path(runtime) / "fimble"
    return Path(environment.get("TMPDIR") or "/tmp") / f"fimble-{os.getuid()}"


def _is_own_folder(folder: str) -> bool:
    try:
        found = os.stat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
