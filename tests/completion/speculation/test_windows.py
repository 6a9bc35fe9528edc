"""Which parts of a text are new."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion.speculation.windows import WINDOW, KnownWindows

Tokens = npt.NDArray[np.int64]


def text(num_tokens: int, seed: int = 0) -> Tokens:
    return np.random.default_rng(seed).integers(0, 150_000, num_tokens)


@given(st.lists(st.integers(0, 2), max_size=300))
def test_in_one_text_each_window_is_new_once(token_ids: list[int]) -> None:
    # In front of a text is nothing, which differs from every token.
    padded = [*[-1] * (WINDOW - 1), *token_ids]
    windows = [tuple(padded[at : at + WINDOW]) for at in range(len(token_ids))]
    expected = [window not in windows[:at] for at, window in enumerate(windows)]
    found = KnownWindows(num_bits=18).are_new(np.array(token_ids, dtype=np.int64))
    assert found.tolist() == expected


def test_hardly_anything_of_a_text_that_comes_again_is_new() -> None:
    windows = KnownWindows(num_bits=18)
    num_new = [np.count_nonzero(windows.are_new(text(4000))) for _ in range(2)]
    # By chance 4000 ** 2 / 2 / 2 ** 18 = 30 places are taken over.
    assert num_new[0] == 4000
    assert num_new[1] < 60


def test_of_an_edited_text_only_what_reaches_across_the_edit_is_new() -> None:
    windows = KnownWindows(num_bits=18)
    before, after = text(40, seed=1), text(40, seed=2)
    windows.are_new(np.concatenate([before, after]))
    typed = np.concatenate([before, [7], after])
    assert np.flatnonzero(windows.are_new(typed)).tolist() == list(range(40, 40 + WINDOW))


def test_texts_that_are_other_ones_are_new() -> None:
    windows = KnownWindows(num_bits=18)
    windows.are_new(text(4000, seed=1))
    assert np.count_nonzero(windows.are_new(text(4000, seed=2))) >= 3995


def test_a_full_table_forgets_and_stays_as_large() -> None:
    windows = KnownWindows(num_bits=8)
    num_bytes = windows.num_bytes
    windows.are_new(text(100, seed=1))
    windows.are_new(text(20_000, seed=2))
    assert windows.are_new(text(100, seed=1)).all()
    assert windows.num_bytes == num_bytes == 512


def test_restored_windows_are_known() -> None:
    windows, restored = KnownWindows(num_bits=12), KnownWindows(num_bits=12)
    windows.are_new(text(20))
    restored.restore(windows.array())
    assert not restored.are_new(text(20)).any()


@pytest.mark.parametrize("array", [np.zeros(1 << 11, np.uint16), np.zeros(1 << 12, np.int16)])
def test_arrays_that_are_no_windows_are_refused(array: npt.NDArray[np.generic]) -> None:
    with pytest.raises(ValueError, match="windows of"):
        KnownWindows(num_bits=12).restore(array)
