"""What clients send and get that keep a document here and edit it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lsp_server.http.schema import StopText, Text

MAX_NUM_EDITS = 1000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class OpenBody(_Strict):
    """A document to keep; it is the client's own, whoever else has one of the same name."""

    text: Text
    uri: Text | None = Field(default=None, min_length=1, max_length=4096)
    path: Text | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="the file's name, which the model is shown and which names the language; no "
        "file is read, but those of its folder may be shown that an editor has had indexed",
    )
    language_id: Text | None = Field(default=None, max_length=64)


class Edit(_Strict):
    """``[start, end)`` becomes ``text``; offsets count code points as the edit before left them."""

    start: int = Field(ge=0, le=2**40)
    end: int = Field(ge=0, le=2**40)
    text: Text


class EditsBody(_Strict):
    """Edits, made all or none; afterwards the cache is brought up to the last one's end."""

    edits: Annotated[list[Edit], Field(min_length=1, max_length=MAX_NUM_EDITS)]
    version: int | None = Field(
        default=None, description="the version that the edits were made for; another is 409"
    )


class CompleteBody(_Strict):
    """Where to complete, and how; what is left out follows the server's settings."""

    offset: int | None = Field(default=None, ge=0, le=2**40, description="code points before it")
    line: int | None = Field(default=None, ge=1, le=2**40, description="from 1, with column")
    column: int | None = Field(default=None, ge=1, le=2**40, description="from 1, in code points")
    version: int | None = Field(
        default=None, description="the version that is meant; another is 409"
    )
    num_candidates: int | None = Field(default=None, ge=1, le=16)
    max_new_tokens: int | None = Field(default=None, ge=1)
    deadline_ms: float | None = Field(
        default=None, ge=10, le=600_000, description="answer with what is there by then"
    )
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0.01, le=1)
    top_k: int | None = Field(default=None, ge=0, le=1_000_000)
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)
    stop: Annotated[list[StopText], Field(max_length=16)] | None = None
    patching: Literal["exact", "rotate", "sentinels", "window", "identifiers", "heal"] | None = (
        Field(default=None, description="as the setting engine.patching")
    )
    use_speculation: bool | None = None


class OpenedDocument(BaseModel):
    """The document's id, for the paths below, and which version of it is here."""

    id: str
    version: int


class HeldDocumentBody(OpenedDocument):
    """Everything that is kept of a document."""

    uri: str
    path: str | None
    language_id: str
    text: str


class DocumentUsage(BaseModel):
    """Tokens: of the prompt, how they were had, and of the text."""

    prompt_tokens: int
    cached_tokens: int
    patched_tokens: int
    computed_tokens: int
    completion_tokens: int


class DocumentCompletion(BaseModel):
    """The object of ``fimble complete --json``, and more."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    id: str = Field(description="for /v1/explain and /v1/events")
    version: int = Field(description="of the document that was completed")
    offset: int
    outcome: str = Field(description="suggestion or none")
    sentence: str = Field(description="why there is none")
    text: str = Field(description="what to insert; empty for nothing")
    candidates: list[dict[str, Any]]
    usage: DocumentUsage
