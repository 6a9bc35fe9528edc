"""The observations of this user on disk: one sqlite file, several processes, never any text.

A store belongs to the thread that uses it; any number of them may have the same file open. What is
wrong with the file is the store's own business: a damaged one is set aside, and where nothing can be
written, nothing is, which is told in the log once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import platformdirs

from lsp_server.learning.observation import Observation

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
MAX_NUM_ROWS = 50_000
_BUSY_TIMEOUT_S = 5.0
_TYPES = {
    "str": "TEXT NOT NULL",
    "int": "INTEGER NOT NULL",
    "float": "REAL NOT NULL",
    "float | None": "REAL",
}
_COLUMNS = {field.name: _TYPES[str(field.type)] for field in fields(Observation)}
_NAMES = ", ".join(_COLUMNS)
_CREATE = (
    "CREATE TABLE IF NOT EXISTS suggestions ("
    + ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
    + ", PRIMARY KEY (id)) WITHOUT ROWID"
)
_INSERT = f"INSERT OR REPLACE INTO suggestions ({_NAMES}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_UPDATE = (
    "UPDATE suggestions SET "
    + ", ".join(f"{name} = ?" for name in _COLUMNS if name not in ("id", "weight"))
    + " WHERE id = ?"
)


def default_store_path() -> Path:
    """Return where this user's observations are: beside other state, as no program can make them anew."""
    return platformdirs.user_state_path("fimble", appauthor=False) / "learning.sqlite3"


class ObservationStore:
    """One connection to the file at ``path``, which the first write creates."""

    def __init__(self, path: Path, max_num_rows: int = MAX_NUM_ROWS) -> None:
        self.path = path
        self._max_num_rows = max_num_rows
        self._connection: sqlite3.Connection | None = None
        self._has_complained = False
        self._is_checked = False
        self._number: int | None = None  # of the file that is open

    def insert(self, observations: Sequence[Observation]) -> None:
        """Add what was offered; an id that is known is replaced."""
        with self._writing() as connection:
            if connection is not None:
                connection.executemany(_INSERT, [astuple(each) for each in observations])
                self._thin(connection)

    def update(self, observations: Sequence[Observation]) -> None:
        """Bring known ids up to date; what has been erased meanwhile stays so."""
        rows = []
        for each in observations:
            row = {name: getattr(each, name) for name in _COLUMNS if name not in ("id", "weight")}
            rows.append((*row.values(), each.id))
        with self._writing() as connection:
            if connection is not None:
                connection.executemany(_UPDATE, rows)

    def read(self, num_newest: int | None = None, model: str | None = None) -> list[Observation]:
        """Return what was noted, oldest first; of ``model`` alone, or the ``num_newest``."""
        if not self.path.exists():
            return []
        query = f"SELECT {_NAMES} FROM suggestions"
        values: list[object] = []
        if model is not None:
            query, values = f"{query} WHERE model = ?", [model]
        query += " ORDER BY at DESC LIMIT ?"
        values.append(-1 if num_newest is None else num_newest)
        return [Observation(*row) for row in reversed(self._rows(query, values))]

    def _rows(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        """Return what ``query`` finds, nothing if the file cannot be read."""
        try:
            connection = self._open()
            return [] if connection is None else connection.execute(query, values).fetchall()
        except (sqlite3.Error, OSError) as error:
            self._fail(error)
        # What cannot be written can still be read. The second way misses what is not in the file yet,
        # and is the one that works where no file may be made beside it.
        for mode in ("mode=ro", "mode=ro&immutable=1"):
            with contextlib.suppress(sqlite3.Error, OSError):
                address = f"{self.path.absolute().as_uri()}?{mode}"
                with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
                    return connection.execute(query, values).fetchall()
        return []

    def erase(self) -> int:
        """Forget everything, the bytes on disk included; returns how many rows there were.

        Raises:
            OSError: The file cannot be changed.
        """
        self._path_of_broken.unlink(missing_ok=True)
        if not self.path.exists():
            return 0
        try:
            connection = self._open()
            self._path_of_broken.unlink(missing_ok=True)  # it may have turned out to be broken now
            if connection is None:
                raise OSError(f"{self.path} cannot be changed; remove it yourself")
            (count,) = connection.execute("SELECT count(*) FROM suggestions").fetchone()
            with connection:
                connection.execute("DELETE FROM suggestions")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise OSError(f"{self.path} cannot be changed: {error}; remove it yourself") from error
        return int(count)

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection | None]:
        """Give a transaction, or None where nothing can be written; what fails in it is told."""
        try:
            connection = self._open()
        except (sqlite3.Error, OSError) as error:
            self._fail(error)
            connection = None
        if connection is None:
            yield None
            return
        try:
            with connection:
                yield connection
        except (sqlite3.Error, OSError) as error:
            self._fail(error)

    def _open(self) -> sqlite3.Connection | None:
        """Return the connection; None if the file is a later version's.

        Raises:
            sqlite3.Error: The file cannot be used for now.
            OSError: The folder cannot be made.
        """
        if self._connection is not None and self._file_number() != self._number:
            self.close()  # somebody removed or replaced it: what went to the old one would be lost
        if self._connection is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            number = self._file_number()
            try:
                self._connection = self._connect()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                if number == self._file_number():  # else another process has replaced it already
                    self._set_aside(error)
                self._connection = self._connect()
            self._number = self._file_number()
        return self._connection

    def _connect(self) -> sqlite3.Connection | None:
        # sqlite would create it for everybody to read.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_TIMEOUT_S, check_same_thread=False, cached_statements=16
        )
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA_VERSION:
                self._complain("%s is of a later fimble; nothing is noted there", self.path)
                connection.close()
                return None
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA secure_delete = ON")
            if not self._is_checked:  # reads all of it
                if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                    raise sqlite3.DatabaseError("database disk image is malformed")
                self._is_checked = True
            if version < SCHEMA_VERSION:  # on a full disk an existing file can still be read
                with connection:
                    connection.execute(_CREATE)
                    connection.execute("CREATE INDEX IF NOT EXISTS by_time ON suggestions (at)")
                    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute(f"SELECT {_NAMES} FROM suggestions LIMIT 0")
        except BaseException:
            connection.close()
            raise
        return connection

    def _thin(self, connection: sqlite3.Connection) -> None:
        """Of the older half of too many rows keep every second, which then stands for its neighbour too."""
        (count,) = connection.execute("SELECT count(*) FROM suggestions").fetchone()
        if count <= self._max_num_rows:
            return
        query = "SELECT id, weight FROM suggestions ORDER BY at, id LIMIT ?"
        older = connection.execute(query, (count // 2,)).fetchall()
        pairs = list(zip(older[::2], older[1::2], strict=False))
        connection.executemany(
            "UPDATE suggestions SET weight = ? WHERE id = ?",
            [(weight + other, kept) for (kept, weight), (_, other) in pairs],
        )
        connection.executemany(
            "DELETE FROM suggestions WHERE id = ?", [(dropped,) for _, (dropped, _) in pairs]
        )

    def _fail(self, error: Exception) -> None:
        """Go on without the file; one that turned out to be damaged is set aside at the next use.

        Not here: another process may have put a new one in its place meanwhile.
        """
        self.close()
        if isinstance(error, sqlite3.DatabaseError) and _is_damage(error):
            self._is_checked = False
        else:
            self._complain("%s cannot be used, so that nothing is noted: %s", self.path, error)

    @property
    def _path_of_broken(self) -> Path:
        return self.path.with_name(self.path.name + ".broken")

    def _file_number(self) -> int | None:
        """Return what tells the file from another of its name, None if there is none."""
        try:
            return self.path.stat().st_ino
        except OSError:
            return None

    def _set_aside(self, error: Exception) -> None:
        aside = self._path_of_broken
        logger.warning("%s is damaged (%s); moved it to %s", self.path, error, aside)
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(OSError):
                self.path.with_name(self.path.name + suffix).unlink()
        with contextlib.suppress(OSError):
            os.replace(self.path, aside)

    def _complain(self, message: str, *values: object) -> None:
        if not self._has_complained:
            self._has_complained = True
            logger.warning(message, *values)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file is to blame, not a lock, the disk or the machine."""
    text = str(error)
    return (
        "malformed" in text or "not a database" in text or "no such" in text or "no column" in text
    )
