"""The embedder of a workspace that is made of a language model's token vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from retrieval.dense.source import MIN_NUM_FITTED, TokenVectors
from retrieval.keeper import Refreshed
from retrieval.workspace import WorkspaceIndex

Write = Callable[[Mapping[str, str | bytes]], None]
OpenIndex = Callable[..., WorkspaceIndex]
Refresh = Callable[[WorkspaceIndex], Refreshed]
Eventually = Callable[[Callable[[], object]], None]


def near(index: WorkspaceIndex, text: str) -> list[str]:
    return [hit.path for hit in index.near(text, 3, {}, has_time=False)]


@dataclass
class Model:
    """A language model with a token for each letter, whose vectors are drawn by lot."""

    is_there: bool = True
    num_loaded: int = 0

    @property
    def source(self) -> TokenVectors:
        return TokenVectors("letters", lambda text: [ord(one) % 128 for one in text], self._load)

    def _load(self) -> npt.NDArray[np.floating] | None:
        if not self.is_there:
            return None
        self.num_loaded += 1
        return np.random.default_rng(0).normal(size=(128, 16)).astype(np.float16)


MANY = {f"{row}.py": f"{chr(97 + row % 26) * 9} = {row}\n" for row in range(MIN_NUM_FITTED)}


def test_an_embedder_is_fitted_to_the_workspace_once(
    open_index: OpenIndex, write: Write, refresh: Refresh
) -> None:
    write(MANY)
    for num_loaded in (1, 0):
        model = Model(is_there=num_loaded == 1)
        index = open_index()
        index.use_embedder(model.source)
        refresh(index)
        assert near(index, MANY["7.py"])[0] == "7.py"
        assert model.num_loaded == num_loaded
        index.close()


def test_a_workspace_with_too_little_text_has_no_embedder_yet(
    open_index: OpenIndex, write: Write, refresh: Refresh
) -> None:
    files = list(MANY.items())
    write(dict(files[1:]))
    index = open_index()
    index.use_embedder(Model().source)
    refresh(index)
    assert near(index, MANY["7.py"]) == []
    write(dict(files[:1]))
    refresh(index)
    assert near(index, MANY["7.py"])[0] == "7.py"


def test_a_model_that_is_gone_before_it_was_needed_is_replaced_by_its_next_one(
    start_index: OpenIndex, eventually: Eventually
) -> None:
    index = start_index(MANY)
    gone = Model(is_there=False)
    index.use_embedder(gone.source)
    index.use_embedder(Model().source)
    eventually(lambda: near(index, MANY["7.py"])[:1] == ["7.py"])
