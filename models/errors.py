"""Errors of the models package.

ModelError
├── PoolFullError           the slot pool or a session's share of it is full
└── UnsupportedModelError   the checkpoint's architecture cannot be run or patched
"""


class ModelError(Exception):
    """Base of everything the models package raises for a caller to act on."""


class UnsupportedModelError(ModelError):
    """The checkpoint's architecture cannot be run, or its cache could not be patched."""


class PoolFullError(ModelError):
    """The slot pool, or a session's share of it, has no room for the tokens asked for."""
