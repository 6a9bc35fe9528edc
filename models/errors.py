"""Errors of the models package.

ModelError
├── UnknownModelError       no registered model, file, folder or hub id has this name
├── UnsupportedModelError   the checkpoint's architecture cannot be run or patched
├── TokenizerError          the vocabulary or its splitting rule is unknown or unreadable
├── CorruptWeightsError     a weight file is damaged, cut short or lacks a tensor
├── DownloadError           weights could not be fetched
├── DiskFullError           no room for weights
└── PoolFullError           the slot pool or a session's share of it is full
"""


class ModelError(Exception):
    """Base of everything the models package raises for a caller to act on."""


class UnknownModelError(ModelError):
    """No registered model, file, folder or hub id has this name."""


class UnsupportedModelError(ModelError):
    """The checkpoint's architecture cannot be run, or its cache could not be patched."""


class TokenizerError(ModelError):
    """The vocabulary, or the rule that splits text before it applies, cannot be used."""


class CorruptWeightsError(ModelError):
    """A weight file is damaged, cut short, or lacks a tensor that its config promises."""


class DownloadError(ModelError):
    """Weights could not be fetched: no network allowed, none there, or the wrong bytes came."""


class DiskFullError(ModelError):
    """There is no room for weights; what was complete before is untouched."""


class PoolFullError(ModelError):
    """The slot pool, or a session's share of it, has no room for the tokens asked for."""
