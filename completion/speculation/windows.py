"""Which stretches of tokens were seen before, so that one text is learnt from once.

A prompt comes again after every keystroke, a document after every save, and only a few tokens of it
are new. Each token is known by the hash of the window that ends with it: what was typed makes one new
window, and the ``WINDOW - 1`` behind the cursor that reach across it. An idiom that is written in many
places has as many windows, up to its length; a licence that heads every file is learnt once.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

WINDOW = 8  # tokens: long enough that the same one elsewhere is the same text copied
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, bits spread evenly: 2 ** 64 / golden ratio


class KnownWindows:
    """Windows seen lately: about the last ``2 ** num_bits``, in two bytes each.

    A window's hash names its place in a table, where some of its other bits are kept. One that comes
    to the same place later takes it over. So a window may be forgotten early, and one of 32,768 that
    find their place taken passes as known: either costs a count.
    """

    def __init__(self, num_bits: int) -> None:
        """Have a table of ``2 ** num_bits`` places."""
        self._num_bits = num_bits
        self._fingerprints: npt.NDArray[np.uint16] = np.zeros(1 << num_bits, np.uint16)

    @property
    def num_bytes(self) -> int:
        """The memory that is taken."""
        return self._fingerprints.nbytes

    def are_new(self, token_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return at which tokens a window ends that is not known, [num_tokens]; from now on it is.

        Of windows that are equal, the first is new.
        """
        hashes, firsts = np.unique(_hashes(token_ids), return_index=True)
        places = hashes >> np.uint64(64 - self._num_bits)
        fingerprints = hashes.astype(np.uint16) | np.uint16(1)  # 0 is an empty place
        is_new = np.zeros(len(token_ids), np.bool_)
        is_new[firsts] = self._fingerprints[places] != fingerprints
        self._fingerprints[places] = fingerprints
        return is_new

    def array(self) -> npt.NDArray[np.uint16]:
        """Return the table; not to be changed."""
        return self._fingerprints

    def restore(self, fingerprints: npt.NDArray[np.generic]) -> None:
        """Know what another object knew; raises ValueError for what cannot be its ``array``."""
        if fingerprints.dtype != np.uint16 or fingerprints.shape != self._fingerprints.shape:
            found = f"{fingerprints.dtype} {fingerprints.shape}"
            raise ValueError(f"windows of {found}: uint16 {self._fingerprints.shape} is needed")
        self._fingerprints = fingerprints.astype(np.uint16)


def _hashes(token_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Return the hash of the window that ends at each token; the first ones are shorter."""
    padded = np.concatenate(
        [np.zeros(WINDOW - 1, np.uint64), token_ids.astype(np.uint64) + np.uint64(1)]
    )
    hashes = np.zeros(len(token_ids), np.uint64)
    for at in range(WINDOW):  # wraps at 2 ** 64, as it should
        hashes = hashes * _MULTIPLIER + padded[at : at + len(token_ids)]
        hashes ^= hashes >> np.uint64(29)
    return hashes * _MULTIPLIER
