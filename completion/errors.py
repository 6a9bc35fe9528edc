"""Errors of the completion package.

CompletionError
├── PromptTooLongError      a prompt does not fit the model's context
└── ServiceClosedError      work was handed to a service that has been closed

Cancellation and "nothing to show" are outcomes (``completion.types``), not errors.
"""


class CompletionError(Exception):
    """Base of everything the completion package raises for a caller to act on."""


class PromptTooLongError(CompletionError):
    """A prompt does not fit the model's context."""

    def __init__(self, num_tokens: int, max_num_tokens: int) -> None:
        super().__init__(
            f"the prompt has {num_tokens} tokens, the model's context holds {max_num_tokens}; "
            "lower the prompt budget"
        )


class ServiceClosedError(CompletionError):
    """Work was handed to a service that has been closed."""
