"""Sources of drafts that outlive requests: those of each workspace, and networks."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from completion.speculation.draft_store import DraftStore
from completion.speculation.ngrams import RepositoryNgrams
from completion.speculation.recycled import RecycledTokens
from completion.speculation.source import DraftSource

_MAX_NUM_WORKSPACES = 4  # about 4 MB each
_SAVED_EVERY_S = 300.0


@dataclass(frozen=True, slots=True)
class _Learnt:
    recycled: RecycledTokens
    ngrams: RepositoryNgrams
    store: DraftStore | None

    def save(self) -> None:
        if self.store is not None:
            self.store.save((self.recycled, self.ngrams))


class LastingSources:
    """What was learnt in each workspace, and what needs no learning. Engine thread only.

    The workspace unused for longest makes room; it is saved then, when the service closes, and from
    time to time.
    """

    def __init__(
        self,
        vocab_size: int,
        fingerprint: str,
        folder: Path | None = None,
        networks: Sequence[DraftSource] = (),
        is_enabled: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Keep what is learnt in ``folder``; None forgets it with the process."""
        self._vocab_size, self._fingerprint, self._folder = vocab_size, fingerprint, folder
        self._networks = [each for each in networks if is_enabled(each.name)]
        self.is_enabled = is_enabled
        self._learnt: OrderedDict[str, _Learnt] = OrderedDict()
        self._saved_at = time.monotonic()

    def of(self, workspace: str) -> list[DraftSource]:
        """Return the sources for documents of the folder ``workspace``, "" for those of none."""
        learnt = self._of(workspace)
        tables = (learnt.recycled, learnt.ngrams)
        return [*(each for each in tables if self.is_enabled(each.name)), *self._networks]

    def add_network(self, network: DraftSource) -> None:
        """Draft with ``network`` as well from now on, if it is enabled."""
        if self.is_enabled(network.name):
            self._networks.append(network)

    def learn_text(self, workspace: str, token_ids: Sequence[int]) -> None:
        """Take in a text of ``workspace``; half a millisecond for 1,000 tokens."""
        if self.is_enabled(RepositoryNgrams.name):
            self._of(workspace).ngrams.learn_text(token_ids)
        if time.monotonic() - self._saved_at > _SAVED_EVERY_S:
            self.save()

    def save(self) -> None:
        """Keep what was learnt."""
        self._saved_at = time.monotonic()
        for learnt in self._learnt.values():
            learnt.save()

    def _of(self, workspace: str) -> _Learnt:
        if workspace not in self._learnt:
            while len(self._learnt) >= _MAX_NUM_WORKSPACES:
                self._learnt.popitem(last=False)[1].save()
            self._learnt[workspace] = self._load(workspace)
        self._learnt.move_to_end(workspace)
        return self._learnt[workspace]

    def _load(self, workspace: str) -> _Learnt:
        store = None
        if workspace and self._folder is not None:
            store = DraftStore(self._folder, self._fingerprint, Path(workspace))
        learnt = _Learnt(
            RecycledTokens(self._vocab_size), RepositoryNgrams(self._vocab_size), store
        )
        if store is not None:
            store.load((learnt.recycled, learnt.ngrams))
        return learnt
