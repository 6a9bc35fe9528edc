"""What may be sent and what is sent back, in OpenAI's words; ``/openapi.json`` is made of it.

Fields that a client may send and that change nothing in fimble are here with the values under which
they change nothing; any other value, and any other field, is refused.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MAX_NUM_PROMPTS = 16
MAX_NUM_CHOICES_PER_PROMPT = 16


def _whole_characters(text: str) -> str:
    """Refuse half a surrogate pair: JSON can carry it, UTF-8 and tokenizers cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half a surrogate pair, which is no text") from None
    return text


Text = Annotated[str, AfterValidator(_whole_characters)]
StopText = Annotated[Text, Field(min_length=1, max_length=1024)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Tolerant(BaseModel):
    """What clients of other servers send, whose newest versions may know more fields."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, frozen=True)


class StreamOptions(_Strict):
    """How a stream ends."""

    include_usage: bool | None = Field(
        default=None, description="send a last chunk with the usage of the whole request"
    )


class FimbleOptions(_Strict):
    """What only fimble knows."""

    language_id: Text = Field(
        default="", max_length=64, description="the language's LSP id; matters with trim"
    )
    path: Text | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="the file's name: tells documents apart and, without language_id, names the "
        "language; no file is read, but with trim those of its folder may be shown that an editor has "
        "had indexed",
    )
    trim: bool = Field(
        default=False,
        description="what an editor would show instead of the model's raw text: it ends where the "
        "code does and is fitted to the brackets, indentation and text around it; needs n 1, no "
        "logprobs and no echo",
    )
    deadline_ms: float | None = Field(
        default=None,
        ge=10,
        le=600_000,
        description="what is ready after so many milliseconds is the choice (default: two minutes)",
    )


class CompletionBody(_Strict):
    """A request to complete; null means the same as leaving a field out."""

    prompt: Text | Annotated[list[Text], Field(min_length=1, max_length=MAX_NUM_PROMPTS)] = Field(
        description="the text before the cursor, or several such texts"
    )
    suffix: Text | None = Field(default=None, description="the text behind the cursor")
    model: Text | None = Field(
        default=None, description="the served model, see /v1/models; may be left out"
    )
    max_tokens: int | None = Field(
        default=None,
        ge=1,
        description="tokens of one choice at most (default: 16, as at OpenAI); not above the "
        "server's setting completion.max_new_tokens",
    )
    temperature: float | None = Field(
        default=None,
        ge=0,
        le=2,
        description="0: always the likeliest token; default: the server's setting "
        "completion.temperature, which is 0 unless changed (OpenAI's default is 1)",
    )
    top_p: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="sample from the likeliest tokens up to this mass; default: the server's "
        "setting completion.top_p",
    )
    n: int | None = Field(
        default=None,
        ge=1,
        le=MAX_NUM_CHOICES_PER_PROMPT,
        description="choices per prompt; with temperature 0 they are equal",
    )
    stop: StopText | Annotated[list[StopText], Field(max_length=4)] | None = Field(
        default=None, description="up to four texts; a choice ends before the first of them"
    )
    seed: int | None = Field(
        default=None,
        ge=-(2**63),
        le=2**63 - 17,
        description="makes sampling repeatable; choice number i uses seed + i",
    )
    logprobs: int | None = Field(
        default=None,
        ge=0,
        le=5,
        description="report each token's log probability beside so many of the likeliest",
    )
    echo: bool | None = Field(
        default=None, description="begin each choice with its prompt; not with logprobs"
    )
    stream: bool | None = Field(default=None, description="send the text as it is generated")
    stream_options: StreamOptions | None = Field(default=None, description="only with stream")
    user: Text | None = Field(
        default=None, max_length=256, description="keeps the documents of several users apart"
    )
    best_of: Annotated[int, Field(ge=1, le=1)] | None = Field(
        default=None, description="not supported; 1 changes nothing"
    )
    presence_penalty: Annotated[float, Field(ge=0, le=0)] | None = Field(
        default=None, description="not supported; 0 changes nothing"
    )
    frequency_penalty: Annotated[float, Field(ge=0, le=0)] | None = Field(
        default=None, description="not supported; 0 changes nothing"
    )
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = Field(
        default=None, description="not supported; an empty object changes nothing"
    )
    fimble: FimbleOptions | None = Field(default=None, description="what only fimble knows")


class ErrorDetail(BaseModel):
    """What is wrong, and with which field."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """The body of every response that is not a success."""

    error: ErrorDetail


class Logprobs(BaseModel):
    """Lists with one entry per token; ``text_offset`` counts characters of the choice's text."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] | None
    text_offset: list[int]


class Choice(BaseModel):
    """One text. ``length``: the token limit or the deadline ended it."""

    text: str
    index: int
    logprobs: Logprobs | None
    finish_reason: Literal["stop", "length"] | None


class PromptTokensDetails(BaseModel):
    """How many of the prompt's tokens were known from the request before."""

    cached_tokens: int


class Usage(BaseModel):
    """Tokens that the model read and wrote. A prompt counts once, whatever ``n`` is."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails


class CompletionResponse(BaseModel):
    """The choices: prompt by prompt, ``n`` for each. A chunk of a stream has the same fields."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage | None


class ModelCard(BaseModel):
    """The served model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """All served models: one."""

    object: Literal["list"]
    data: list[ModelCard]


class LoadProgress(BaseModel):
    """How far loading is; ``fraction`` is null where the end is not known."""

    stage: str
    fraction: float | None


class Health(BaseModel):
    """Whether requests are served: ``ok``, ``loading`` or ``failed``."""

    status: Literal["ok", "loading", "failed"]
    model: str
    progress: LoadProgress | None
