"""Every setting with its default, its range and its meaning: the one place that knows them.

A settings tree is complete and frozen: no field may be missing, so nothing below has to ask what
an absent value means. What the user wrote, which may be little and wrong, is in ``options``.
``docs/settings.md`` lists the same table; a test compares them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, cast, get_type_hints

from completion.config import MIN_CONFIDENCE
from completion.fim_format import Layout
from completion.types import NoSuggestionReason
from kvedit.policy import PatchMode
from lsp_server.setting_rules import Reach as Reach
from lsp_server.setting_rules import Rule as Rule
from models.registry import DEFAULT_MODEL, registered_models


class Device(StrEnum):
    """Where the model runs; ``auto`` takes CUDA, then MPS, then the CPU."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


class Precision(StrEnum):
    """How weights are kept; ``auto`` takes bf16 on CUDA and int8 on the CPU."""

    AUTO = "auto"
    INT4 = "int4"
    INT8 = "int8"
    BF16 = "bf16"
    FLOAT32 = "float32"


class LogLevel(StrEnum):
    """The least serious message that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """The form of a line of the log."""

    TEXT = "text"
    JSON = "json"


_DOCUMENT, _PROJECT = Reach.DOCUMENT, Reach.PROJECT
DENSE_OFF, DENSE_STATIC = "off", "static"
_KNOWN_MODELS = frozenset[object]({"default", *registered_models()})
_DRAFTS = _KNOWN_MODELS | {""}


def _optional_path(meaning: str, free: frozenset[object] = frozenset()) -> Rule:
    return Rule(meaning, optional=True, free=free, may_be_path=True)


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which weights, and how they are run."""

    name: Annotated[
        str,
        Rule(
            "a registry name, a hub id, a folder or a GGUF file",
            free=_KNOWN_MODELS,
            may_be_path=True,
        ),
    ] = DEFAULT_MODEL
    device: Annotated[Device, Rule("where the model runs")] = Device.AUTO
    precision: Annotated[Precision, Rule("how the weights are kept")] = Precision.AUTO
    cache_dir: Annotated[
        str,
        _optional_path("where weights are kept; empty: the user's cache folder"),
    ] = ""
    offline: Annotated[
        bool, Rule("never fetch weights, use what is there", free=frozenset({True}))
    ] = False
    compile: Annotated[
        bool,
        Rule(
            "fuse small operations with torch.compile; needs a C++ compiler, slow to start",
            free=frozenset({False}),
        ),
    ] = False
    num_threads: Annotated[
        int, Rule("CPU threads of the model; 0: as many as there are cores", 0, 1024)
    ] = 0


@dataclass(frozen=True, slots=True)
class CompletionSettings:
    """What is suggested, and how long it may take."""

    enabled: Annotated[
        bool, Rule("whether the editor gets suggestions at all", reach=_DOCUMENT)
    ] = True
    disabled_languages: Annotated[
        tuple[str, ...],
        Rule(
            "language ids without suggestions, separated by commas", optional=True, reach=_DOCUMENT
        ),
    ] = ()
    # Of the project: the cache is built with room for that many.
    max_new_tokens: Annotated[int, Rule("tokens of one suggestion at most", 1, 4096)] = 256
    deadline_ms: Annotated[
        float,
        Rule(
            "in the editor, milliseconds until what is ready is shown", 10, 600_000, reach=_DOCUMENT
        ),
    ] = 1500.0
    num_candidates: Annotated[int, Rule("alternatives to offer", 1, 16, reach=_DOCUMENT)] = 1
    temperature: Annotated[float, Rule("0: always the likeliest token", 0, 2, reach=_DOCUMENT)] = (
        0.0
    )
    top_p: Annotated[
        float, Rule("sample from the likeliest tokens up to this mass", 0.01, 1, reach=_DOCUMENT)
    ] = 1.0
    top_k: Annotated[
        int, Rule("sample from so many tokens; 0: from all", 0, 1_000_000, reach=_DOCUMENT)
    ] = 0


@dataclass(frozen=True, slots=True)
class PromptSettings:
    """How much of what the model sees, in tokens and in shares of them."""

    max_num_tokens: Annotated[int, Rule("tokens of a prompt at most", 64, 131_072)] = 2048
    suffix_share: Annotated[
        float, Rule("of it for the text behind the cursor", 0, 0.45, reach=_PROJECT)
    ] = 0.25
    context_share: Annotated[
        float, Rule("of it for code of other files", 0, 0.45, reach=_PROJECT)
    ] = 0.25
    layout: Annotated[Layout, Rule("where the text around the cursor stands", reach=_PROJECT)] = (
        Layout.LINE
    )


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How the model is run; parts that can be switched off."""

    cache_mb: Annotated[
        int, Rule("megabytes for the caches of documents; one always has room", 1, 65_536)
    ] = 1024
    prefetch: Annotated[
        bool, Rule("prepare the suggestion behind the one just accepted", reach=_PROJECT)
    ] = True

    min_confidence: Annotated[
        float, Rule("give up lines that are right less often; 0: none", 0, 1, reach=_PROJECT)
    ] = MIN_CONFIDENCE
    retrieval: Annotated[
        bool, Rule("show the model related code of the repository", reach=_DOCUMENT)
    ] = True
    speculation: Annotated[
        bool, Rule("draft several tokens at once; the text is the same", reach=_DOCUMENT)
    ] = True
    early_exit: Annotated[
        float,
        Rule(
            "take tokens this probable after the first layers, unverified; 0: none",
            0,
            1,
            reach=_PROJECT,
        ),
    ] = 0.0
    draft_model: Annotated[
        str,
        _optional_path(
            "a smaller model with the same vocabulary that drafts; empty: none", _DRAFTS
        ),
    ] = ""
    patching: Annotated[
        PatchMode,
        Rule("how much of the cache behind an edit is kept, not computed again", reach=_DOCUMENT),
    ] = PatchMode.HEAL
    heal_after_s: Annotated[
        float, Rule("seconds of rest before a patched cache is computed anew", 0.05, 3600)
    ] = 0.7
    chunk_tokens: Annotated[
        int, Rule("tokens of other files' chunks kept for all documents; 0: none", 0, 65_536)
    ] = 2048
    around_tokens: Annotated[
        int, Rule("tokens of a document computed at rest, for jumps; 0: none", 0, 65_536)
    ] = 16_384
    snapshots: Annotated[
        bool, Rule("keep documents' caches on disk over restarts; they hold your source's tokens")
    ] = False
    snapshot_mb: Annotated[
        int, Rule("megabytes of caches on disk at most; the oldest go first", 1, 1_000_000)
    ] = 1024


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """The index of a workspace, from which related code is shown to the model.

    Of the process: clients share indexes, so the first one's choice counts.
    """

    enabled: Annotated[
        bool,
        Rule("keep an index of the workspaces that are open", free=frozenset({False})),
    ] = True
    folder: Annotated[
        str,
        _optional_path("where indexes are kept; empty: the user's cache folder"),
    ] = ""
    max_file_kb: Annotated[int, Rule("kilobytes of a file that is indexed at most", 1, 65_536)] = (
        1024
    )
    max_num_files: Annotated[
        int, Rule("files of a workspace that is indexed at most", 1, 10_000_000)
    ] = 200_000
    num_workers: Annotated[
        int, Rule("processes that index many files at once; 0: by the number of cores", 0, 64)
    ] = 0
    dense: Annotated[
        str,
        Rule(
            "how code is also found by meaning: off, static (the model's token vectors), or an "
            "encoder of sentence-transformers",
            free=frozenset({DENSE_OFF}),
        ),
    ] = DENSE_OFF
    dense_layers: Annotated[
        int, Rule("layers of that encoder that are computed; 0: all", 0, 1000)
    ] = 0


@dataclass(frozen=True, slots=True)
class LearningSettings:
    """What fimble notes about its suggestions, and what it makes of that."""

    enabled: Annotated[
        bool,
        Rule(
            "note which suggestions were shown, taken and kept, as numbers on this machine",
            free=frozenset({False}),
        ),
    ] = True
    adaptive: Annotated[
        bool,
        Rule("let that decide how early and how sure suggestions are shown", reach=_PROJECT),
    ] = True


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The language server as a program."""

    wait_for_model: Annotated[
        bool,
        Rule(
            "hold requests while the model loads instead of answering with nothing", reach=_PROJECT
        ),
    ] = False
    log_level: Annotated[LogLevel, Rule("what is logged; debug holds source text")] = (
        LogLevel.WARNING
    )
    log_file: Annotated[
        str,
        _optional_path("where the log goes; empty: standard error, the daemon's own file"),
    ] = ""
    log_format: Annotated[LogFormat, Rule("lines for people, or a JSON object each")] = (
        LogFormat.TEXT
    )
    log_max_mb: Annotated[
        int, Rule("megabytes of a log file before the next is begun", 1, 1024)
    ] = 10
    runtime_dir: Annotated[
        str,
        _optional_path("where the daemon's socket lies; empty: the user's runtime folder"),
    ] = ""
    idle_shutdown_s: Annotated[
        int, Rule("seconds without a client after which the daemon ends; 0: never", 0, 1_000_000)
    ] = 3600
    unload_after_s: Annotated[
        int, Rule("seconds without a user after which a model is dropped; 0: never", 0, 1_000_000)
    ] = 0
    nice: Annotated[
        int, Rule("how far the daemon steps back from other programs; 0: not at all", 0, 19)
    ] = 5


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """The door for programs; it opens with ``fimble serve`` alone."""

    host: Annotated[str, Rule("address to listen on; other machines need a token")] = "127.0.0.1"
    port: Annotated[int, Rule("port to listen on; 0: a free one", 0, 65_535)] = 7417
    token: Annotated[
        str, Rule("what clients have to show; empty: nothing", optional=True, secret=True)
    ] = ""
    max_body_mb: Annotated[int, Rule("megabytes of a request at most", 1, 256)] = 8


@dataclass(frozen=True, slots=True)
class Settings:
    """The resolved tree."""

    model: ModelSettings = field(default_factory=ModelSettings)
    completion: CompletionSettings = field(default_factory=CompletionSettings)
    prompt: PromptSettings = field(default_factory=PromptSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    index: IndexSettings = field(default_factory=IndexSettings)
    learning: LearningSettings = field(default_factory=LearningSettings)
    server: ServerSettings = field(default_factory=ServerSettings)
    http: HttpSettings = field(default_factory=HttpSettings)

    @property
    def shows_context(self) -> bool:
        """Whether the model is shown lines of other files."""
        return self.engine.retrieval and self.index.enabled

    def refusal(self, language_id: str) -> NoSuggestionReason | None:
        """Why the editor's documents of ``language_id`` get no suggestions; ``None`` if they do."""
        completion = self.completion
        if completion.enabled and language_id not in completion.disabled_languages:
            return None
        return NoSuggestionReason.DISABLED


@dataclass(frozen=True, slots=True)
class SettingSpec:
    """One row of the table; ``key`` is dotted, as in ``model.name``."""

    key: str
    default: object
    rule: Rule

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return "FIMBLE_" + self.key.replace(".", "_").upper()

    @property
    def shown_default(self) -> str:
        """The default as people write it."""
        if isinstance(self.default, bool):
            return str(self.default).lower()
        if isinstance(self.default, float):
            return f"{self.default:g}"
        return str(self.default) if self.default not in ("", ()) else "empty"

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        if isinstance(self.default, bool):
            return "true or false"
        if isinstance(self.default, StrEnum):
            return ", ".join(type(self.default))
        if isinstance(self.default, tuple):
            return "a list of names"
        if isinstance(self.default, int | float):
            kind = "a whole number" if isinstance(self.default, int) else "a number"
            return f"{kind} from {self.rule.minimum:g} to {self.rule.maximum:g}"
        return "text, may be empty" if self.rule.optional else "text"


@functools.cache
def all_specs() -> Mapping[str, SettingSpec]:
    """Return every setting by its dotted key, in the order of the declarations."""
    specs = [spec for section in fields(Settings) for spec in _section_specs(section.name)]
    return MappingProxyType({spec.key: spec for spec in specs})


def _section_specs(section: str) -> list[SettingSpec]:
    defaults = getattr(Settings(), section)
    hints = get_type_hints(type(defaults), include_extras=True)
    return [
        SettingSpec(f"{section}.{name}", getattr(defaults, name), cast(Rule, hint.__metadata__[0]))
        for name, hint in hints.items()
    ]
