"""Mapped arrays: their memory is given back, and what they hold stays."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from retrieval.sparse.arrays import let_go, new_folder, read_folder

NUM_VALUES = 1 << 20


def resident_kb(file: Path) -> int:
    """Return how much of ``file`` is in this process's memory."""
    found, is_of_file = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ")[0]:
            is_of_file = line.endswith(str(file))
        elif is_of_file and line.startswith("Rss:"):
            found += int(line.split()[1])
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is resident of a file")
def test_memory_of_what_was_read_is_given_back(tmp_path: Path) -> None:
    with new_folder(tmp_path / "folder") as writer:
        writer.column("numbers", np.int64).append(np.arange(NUM_VALUES))
    numbers = read_folder(tmp_path / "folder")[0]["numbers"]
    file = tmp_path / "folder" / "numbers.npy"
    assert numbers.sum() == NUM_VALUES * (NUM_VALUES - 1) // 2
    whole_kb = resident_kb(file)
    assert whole_kb >= NUM_VALUES * 8 // 1024
    let_go(numbers, NUM_VALUES // 2)
    assert resident_kb(file) <= whole_kb // 2 + 64
    let_go(numbers, NUM_VALUES)
    assert resident_kb(file) <= 64
    np.testing.assert_array_equal(numbers, np.arange(NUM_VALUES))


@pytest.mark.parametrize("end", [0, 1, 3])
def test_arrays_that_are_not_mapped_are_left_alone(end: int) -> None:
    numbers = np.arange(3)
    let_go(numbers, end)
    assert numbers.tolist() == [0, 1, 2]
