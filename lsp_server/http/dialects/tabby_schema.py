"""Tabby's words for completions, events and health. Fields that are not here are ignored."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from lsp_server.http.schema import Text, Tolerant

_Path = Annotated[Text, Field(max_length=4096)]


class TabbySnippet(Tolerant):
    """Lines of another file; those of the highest score matter most."""

    filepath: _Path
    body: Text
    score: float = 0.0


_Snippets = Annotated[list[TabbySnippet], Field(max_length=256)]


class TabbySegments(Tolerant):
    """The text around the cursor, and what the editor knows to be of use for it."""

    prefix: Text = Field(description="the text before the cursor")
    suffix: Text | None = Field(default=None, description="the text behind the cursor")
    filepath: _Path | None = Field(
        default=None,
        description="names the document and its language; if absolute, files that an editor has had indexed may be shown",
    )
    git_url: _Path | None = Field(default=None, description="keeps files of the same name apart")
    declarations: _Snippets | None = Field(default=None, description="what the prefix speaks of")
    relevant_snippets_from_changed_files: _Snippets | None = None
    relevant_snippets_from_recently_opened_files: _Snippets | None = None
    clipboard: Text | None = None


class TabbyDebugOptions(Tolerant):
    """What to answer with besides, and what to leave out."""

    raw_prompt: Text | None = Field(default=None, description="not supported")
    return_snippets: bool = False
    return_prompt: bool = False
    disable_retrieval_augmented_code_completion: bool = False


class TabbyBody(Tolerant):
    """A request with ``segments``, which tell it from OpenAI's. Unknown fields are ignored."""

    segments: TabbySegments
    language: Text | None = Field(default=None, max_length=64)
    user: Text | None = Field(default=None, max_length=256)
    temperature: float | None = Field(default=None, ge=0, le=2)
    seed: int | None = Field(default=None, ge=0, le=2**64 - 1)
    mode: Literal["standard"] | None = Field(default=None)
    debug_options: TabbyDebugOptions | None = None


class TabbyChoice(BaseModel):
    """The one text there is; it may be empty."""

    index: int
    text: str


class TabbyDebugData(BaseModel):
    """What ``debug_options`` asked for."""

    snippets: list[TabbySnippet] | None = None
    prompt: str | None = None


class TabbyResponse(BaseModel):
    """The text, with the id that events name it by."""

    id: str
    choices: list[TabbyChoice]
    debug_data: TabbyDebugData | None = None


class EventBody(Tolerant):
    """What a person did with a completion."""

    type: Literal["view", "select", "dismiss"]
    completion_id: Text = Field(min_length=1, max_length=128)
    choice_index: int = Field(default=0, ge=0, le=1024)
    view_id: Text | None = Field(default=None, max_length=256)
    elapsed: float | None = Field(default=None, description="ignored")
    select_kind: Text | None = Field(
        default=None, max_length=64, description="line: its first line was taken"
    )


class EventResponse(BaseModel):
    """Nothing: unknown completions are fine."""


class TabbyVersion(BaseModel):
    """Which version answers."""

    build_date: str
    build_timestamp: str
    git_sha: str
    git_describe: str


class TabbyHealth(BaseModel):
    """What serves, and on what."""

    model: str
    device: str
    arch: str
    cpu_info: str
    cpu_count: int
    cuda_devices: list[str]
    version: TabbyVersion
