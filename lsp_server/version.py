"""The version that is installed."""

from __future__ import annotations

import os
import sys


def current() -> str:
    """Return the version of the distribution, ``"unknown"`` where it runs without one.

    Read from the name of the folder that installers write: ``importlib.metadata`` says the same,
    and importing it takes as long as all else that a proxy does before its first message.
    """
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue  # a zip archive, or not there
        for name in names:
            if name.startswith("fimble-") and name.endswith(".dist-info"):
                return name.removeprefix("fimble-").removesuffix(".dist-info")
    return "unknown"
