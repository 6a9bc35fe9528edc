"""Errors of the completion package.

CompletionError
├── DraftModelError         the draft model does not share the model's vocabulary
├── PromptTooLongError      the configured prompt and text do not fit the model's context
└── ServiceClosedError      work was handed to a service that has been closed

Cancellation and "nothing to show" are outcomes (``completion.types``), not errors.
"""


class CompletionError(Exception):
    """Base of everything the completion package raises for a caller to act on."""


class PromptTooLongError(CompletionError):
    """The configured prompt and text do not fit the model's context."""

    def __init__(self, num_tokens: int, max_num_tokens: int) -> None:
        super().__init__(
            f"prompt and new text may take {num_tokens} tokens, the model's context holds "
            f"{max_num_tokens}; lower prompt.max_num_tokens or completion.max_new_tokens"
        )


class DraftModelError(CompletionError):
    """The draft model's vocabulary is another than the model's."""


class ServiceClosedError(CompletionError):
    """Work was handed to a service that has been closed."""
