"""The version that is installed."""

from __future__ import annotations

from importlib import metadata


def current() -> str:
    """Return the version of the distribution, ``"unknown"`` where it runs without one."""
    try:
        return metadata.version("fimble")
    except metadata.PackageNotFoundError:
        return "unknown"
