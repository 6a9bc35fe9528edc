"""The vectors of one workspace's chunks, made while nobody waits."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from retrieval.chunk import Chunk
from retrieval.chunking import MAX_NUM_CHARS
from retrieval.dense.embedder import Embedder, text_of
from retrieval.dense.errors import DenseError, VectorsCorruptError, VectorsMismatchError
from retrieval.dense.filler import BATCH_SIZE, Candidate, DenseFiller
from retrieval.dense.source import EmbedderSource, open_embedder
from retrieval.dense.vectors import VectorIndex
from retrieval.file_texts import FileTexts
from retrieval.files.secrets import redact
from retrieval.sparse.corpus import Hit
from retrieval.sparse.index import SparseIndex
from retrieval.sparse.search import HiddenLines

logger = logging.getLogger(__name__)

_REST_S = 1.0  # longer than between two keys of somebody who types
_SLOW_BATCH_SIZE = 4  # a tenth of a second each: whoever types again waits for at most one batch
_NUM_LOOKED_UP = 1024  # keys whose places are looked for at once
_NUM_NEIGHBOURS = 4  # for each hit that is wanted: most of the nearest stand around the cursor
_MAX_DEAD_SHARE = 1.0  # of vectors whose chunks are gone, to those whose chunks are there


class DenseIndex:
    """Nearest chunks by meaning. Any thread may search; one thread at a time does the ``work``."""

    def __init__(
        self, folder: Path, source: EmbedderSource, index: SparseIndex, texts: FileTexts
    ) -> None:
        """Embed the chunks of ``index``, whose texts are in ``texts``; nothing happens yet.

        What is fitted and the vectors are kept in ``folder``, which one process writes at a time.
        ``texts`` are for the ``work`` alone: it goes through all files, and so they drop what
        requests quote from.
        """
        self._folder, self._source = folder, source
        self._index, self._texts = index, texts
        self._embedder: Embedder | None = None
        self._vectors: VectorIndex | None = None
        self._filler: DenseFiller | None = None
        self._has_work, self._has_failed = True, False
        self._changed_at = -_REST_S

    @property
    def has_work(self) -> bool:
        """Whether a chunk may be without a vector."""
        return self._has_work and not self._has_failed

    @property
    def has_rested(self) -> bool:
        """Whether nothing changed for a while: nobody types, and no tool writes files."""
        return time.monotonic() - self._changed_at > _REST_S

    @property
    def is_open(self) -> bool:
        """Whether there is an embedder to make vectors with."""
        return self._embedder is not None

    @property
    def num_vectors(self) -> int:
        """How many vectors there are, those of chunks that are gone included."""
        return 0 if self._vectors is None else len(self._vectors)

    def changed(self) -> None:
        """Take in that documents or files changed."""
        if self._filler is not None:
            self._filler.restart()
        self._changed_at = time.monotonic()
        self._has_work = True

    def work(self, may_go_on: Callable[[], bool]) -> None:
        """Give chunks their vectors until all have one, or ``may_go_on`` denies.

        The first call loads or fits the embedder, which takes seconds. If it is not available, or
        vectors cannot be written, that is logged and ends all work: searches go on with what is there.
        """
        if self._has_failed or not may_go_on():
            return
        self._has_work = False  # what changes from now on is work again
        try:
            filler = self._filler or self._opened()
            if filler is not None and not filler.fill(may_go_on):
                self._has_work = True
        except DenseError as error:
            logger.warning("vectors in %s are not made: %s", self._folder, error)
            self._has_failed = True

    def search(
        self, text: str, num_wanted: int, hidden: HiddenLines, *, has_time: bool
    ) -> list[Hit]:
        """Return the chunks nearest to ``text``, nearest first; scores are cosines.

        None until vectors are there, and none of an embedder that is not fast if the caller does
        not have time. ``hidden`` are line ranges by path that no hit may overlap.
        """
        embedder, vectors = self._embedder, self._vectors
        if embedder is None or vectors is None or not (embedder.is_fast or has_time):
            return []
        vector = embedder.embed([text])[0]
        if not vector.any():
            return []
        near = vectors.search(vector, _NUM_NEIGHBOURS * num_wanted)
        scores = {neighbour.key: neighbour.score for neighbour in near}
        return self._index.with_keys(scores, hidden)[:num_wanted]

    def _opened(self) -> DenseFiller | None:
        embedder = open_embedder(self._source, self._folder / "embedder", self._sample)
        if embedder is None:
            return None
        vectors = _open_vectors(self._folder / "vectors", embedder)
        self._sweep(vectors)
        size = BATCH_SIZE if embedder.is_fast else _SLOW_BATCH_SIZE
        self._filler = DenseFiller(embedder, vectors, self._backlog, batch_size=size)
        self._embedder, self._vectors = embedder, vectors
        return self._filler

    def _sweep(self, vectors: VectorIndex) -> None:
        """Drop vectors of chunks that are gone, if there are many.

        Those of chunks that come back, as when branches are switched, are worth keeping.
        """
        live = self._index.chunk_keys()
        if len(vectors) > (1 + _MAX_DEAD_SHARE) * len(live):
            vectors.retain(frozenset(live))

    def _sample(self, num_texts: int) -> list[str]:
        """Return texts of chunks from all over the workspace."""
        keys = self._index.chunk_keys()
        step = max(1, len(keys) // num_texts)
        texts = (candidate.read() for candidate in self._candidates(keys[::step][:num_texts]))
        return [text for text in texts if text is not None]

    def _backlog(self) -> Iterator[Candidate]:
        vectors = self._vectors
        assert vectors is not None
        return self._candidates([key for key in self._index.chunk_keys() if key not in vectors])

    def _candidates(self, keys: list[int]) -> Iterator[Candidate]:
        for start in range(0, len(keys), _NUM_LOOKED_UP):
            scores = dict.fromkeys(keys[start : start + _NUM_LOOKED_UP], 0.0)
            for hit in self._index.with_keys(scores, {}):
                yield Candidate(hit.key, partial(self._text, hit))

    def _text(self, hit: Hit) -> str | None:
        """Return what is embedded for a chunk; None if it is not what its key stands for any more.

        So it is where an open document holds a secret: what is quoted is not what was indexed.
        Headers are not quoted, so they are looked at here.
        """
        stamps = self._index.stamps()
        lines = self._texts.lines(hit.path, hit.start_line, hit.end_line, stamps)
        header = "\n".join(hit.header)
        if lines is None or redact(header) != header:
            return None
        chunk = Chunk(hit.start_line, hit.end_line, hit.header, lines[:MAX_NUM_CHARS])
        return text_of(chunk) if chunk.key == hit.key else None


def _open_vectors(folder: Path, embedder: Embedder) -> VectorIndex:
    try:
        return VectorIndex.open(folder, embedder.name, embedder.dimension)
    except (VectorsMismatchError, VectorsCorruptError) as error:
        logger.info("vectors are made anew: %s", error)
        return VectorIndex(embedder.name, embedder.dimension, folder)
