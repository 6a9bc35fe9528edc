"""Errors of the models package.

ModelError
└── UnsupportedModelError   the checkpoint's architecture cannot be run or patched
"""


class ModelError(Exception):
    """Base of everything the models package raises for a caller to act on."""


class UnsupportedModelError(ModelError):
    """The checkpoint's architecture cannot be run, or its cache could not be patched."""
