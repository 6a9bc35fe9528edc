"""From the text a model wrote to the text a document can take: small pure filters in a row."""

from completion.postprocess.pipeline import (
    FILTERS,
    PostprocessedText,
    RejectedText,
    postprocess,
)

__all__ = ["FILTERS", "PostprocessedText", "RejectedText", "postprocess"]
