"""Progress for people: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from models.progress import Progress

if TYPE_CHECKING:
    from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 5.0
_NEVER = float("inf")


class ProgressPrinter:
    """Shows ``Progress`` on a stream, one bar or a few lines per stage; a context manager."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._bar: tqdm | None = None
        self._stage: tuple[str, int | None] | None = None
        self._next_line_at = 0.0

    def __enter__(self) -> Self:
        """Start; nothing is shown before the first stage."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the bar's line."""
        self._close()

    def show(self, progress: Progress) -> None:
        """Show one moment; fits ``ProgressCallback``."""
        stage = (progress.stage, progress.total)
        if stage != self._stage:
            self._stage, self._next_line_at = stage, 0.0
            self._close()
        if self._is_terminal:
            self._draw(progress)
        else:
            self._write_line(progress)

    def show_share(self, stage: str, share: float | None) -> None:
        """Show which part of a stage is done, 0 to 1; ``None``: nobody knows."""
        total = None if share is None else 100
        self.show(Progress(stage, 0 if share is None else round(100 * share), total, "%"))

    def _draw(self, progress: Progress) -> None:
        if self._bar is None:
            from tqdm import tqdm  # most calls have nothing to show

            is_bytes = progress.unit == "bytes"
            self._bar = tqdm(
                desc=progress.stage,
                total=progress.total,
                unit="B" if is_bytes else f" {progress.unit}",
                unit_scale=is_bytes,
                unit_divisor=1024,
                file=self._stream,
            )
        self._bar.update(progress.done - self._bar.n)

    def _write_line(self, progress: Progress) -> None:
        now = time.monotonic()
        is_end = progress.done == progress.total
        if now < self._next_line_at and (not is_end or self._next_line_at == _NEVER):
            return
        # Once the end was shown, the stage has nothing more to say.
        self._next_line_at = now + _SECONDS_BETWEEN_LINES if not is_end else _NEVER
        share = f": {100 * progress.done // progress.total} %" if progress.total else ""
        self._stream.write(f"{progress.stage}{share}\n")
        self._stream.flush()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
