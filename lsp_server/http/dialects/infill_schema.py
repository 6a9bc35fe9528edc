"""llama.cpp's words for ``/infill`` and ``/props``, as far as editors send and read them.

Fields that are not here are ignored, as llama.cpp ignores them: its clients send whatever its newest
version knows.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from lsp_server.http.schema import Text, Tolerant

MAX_NUM_CANDIDATES = 16
_MAX_MS = 600_000


class InfillChunk(Tolerant):
    """Lines of another file, or of another place in this one."""

    text: Text
    filename: Text | None = Field(default=None, max_length=4096)


class InfillBody(Tolerant):
    """A hole in a text; null means the same as leaving a field out. Unknown fields are ignored."""

    input_prefix: Text = Field(description="the text before the cursor, without its line")
    input_suffix: Text = Field(description="the text behind the cursor")
    input_extra: Annotated[list[InfillChunk], Field(max_length=1024)] | None = Field(
        default=None,
        description="lines of other files in the order they are to stand; where there is no room for "
        "all of them, the first go",
    )
    prompt: Text | None = Field(
        default=None, description="the text between input_prefix and the cursor"
    )
    n_predict: int | None = Field(
        default=None,
        ge=-2,
        description="tokens at most, never above the setting completion.max_new_tokens; 0 prepares "
        "the cache and answers at once with nothing",
    )
    n_indent: int | None = Field(
        default=None,
        ge=0,
        description="the text ends before a line that is indented by fewer characters",
    )
    temperature: float | None = Field(
        default=None, ge=0, le=100, description="counts if samplers name it, or are left out"
    )
    top_k: int | None = Field(default=None, ge=-1, le=2**31, description="0 or less: no limit")
    top_p: float | None = Field(default=None, ge=0, le=1)
    samplers: Text | list[Text] | None = Field(default=None, max_length=64)
    seed: int | None = Field(default=None, ge=-1, le=2**63 - 17, description="-1: random")
    stop: Text | Annotated[list[Text], Field(max_length=64)] | None = Field(
        default=None, description="the text ends before any of these"
    )
    t_max_prompt_ms: float | None = Field(default=None, ge=-1, le=_MAX_MS)
    t_max_predict_ms: float | None = Field(
        default=None,
        ge=-1,
        le=_MAX_MS,
        description="with t_max_prompt_ms, when to answer with what is there; 0: no limit",
    )
    n_cmpl: int | None = Field(
        default=None,
        ge=1,
        le=MAX_NUM_CANDIDATES,
        description="different texts; with more than one the answer is a list",
    )
    n: int | None = Field(default=None, ge=1, le=MAX_NUM_CANDIDATES, description="as n_cmpl")
    stream: bool | None = Field(default=None, description="send server-sent events")
    response_fields: Annotated[list[Text], Field(max_length=64)] | None = Field(
        default=None,
        description="the fields to answer with; a/b takes the field b of a, and keeps that name",
    )
    model: Text | None = Field(default=None, description="ignored: one model is served")


class Timings(BaseModel):
    """How long the answer took, and how many tokens were computed for it."""

    cache_n: int
    prompt_n: int
    prompt_ms: float
    prompt_per_token_ms: float
    prompt_per_second: float
    predicted_n: int
    predicted_ms: float
    predicted_per_token_ms: float
    predicted_per_second: float


class InfillResponse(BaseModel):
    """One text. ``content`` is missing if time was up before there was any."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    index: int | None = None
    content: str | None = None
    stop: bool | None = None
    stop_type: str | None = Field(default=None, description="eos, word or limit")
    model: str | None = None
    tokens_predicted: int | None = None
    tokens_evaluated: int | None = None
    tokens_cached: int | None = None
    truncated: bool | None = None
    generation_settings: dict[str, Any] | None = None
    timings: Timings | None = None


class Props(BaseModel):
    """What llama.cpp tells of itself, as far as it is true here."""

    default_generation_settings: dict[str, Any]
    total_slots: int
    model_alias: str
    model_path: str
    chat_template: str
    build_info: str
