"""What the user wrote, in six places, and its way into one settings tree.

Sources from weakest to strongest: defaults, the user's file, the project's file, the client's
``initializationOptions``, its ``workspace/didChangeConfiguration``, ``FIMBLE_*`` variables, flags.
Each is read into the same form, dotted keys with checked values; nothing is dropped in silence.
``config_files`` knows the files.
"""

from __future__ import annotations

import difflib
import os
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path

from lsp_server.settings import Settings, SettingSpec, all_specs
from lsp_server.user_file import CONFIG_VARIABLE
from models.registry import registered_models

OptionValue = bool | int | float | str | tuple[str, ...]
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}
_VARIABLE_PREFIX = "FIMBLE_"
_MODEL_NAMES = ("model.name", "engine.draft_model")
DEFAULT_ORIGIN = "default"
ENVIRONMENT_ORIGIN = "environment"

# A source may be hostile: nobody reads more than so many complaints, and each costs a search.
_MAX_NUM_PROBLEMS = 20
_MAX_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Problem:
    """Something the user wrote that cannot be used; ``is_value`` tells a bad value from a bad name."""

    message: str
    is_value: bool


@dataclass(frozen=True, slots=True)
class Options:
    """The usable part of one source, what was wrong with the rest, and where it was written."""

    values: Mapping[str, OptionValue]
    problems: tuple[Problem, ...] = ()
    origin: str = ""

    def only(self, is_wanted: Callable[[SettingSpec], bool]) -> Options:
        """Return the values whose settings are wanted, without the problems."""
        specs = all_specs()
        values = {key: value for key, value in self.values.items() if is_wanted(specs[key])}
        return Options(values, (), self.origin)

    def anchored(self, folder: Path) -> Options:
        """Return the same with relative paths made absolute, as seen from ``folder``.

        A daemon works in another folder than whoever wrote the path.
        """
        specs = all_specs()
        anchored = {
            key: _anchored(specs[key], value, folder) if isinstance(value, str) else value
            for key, value in self.values.items()
        }
        return replace(self, values=anchored)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings, and how they came about.

    ``values`` are the explicitly set ones by dotted key, ``origins`` says where each was written.
    """

    settings: Settings = field(default_factory=Settings)
    values: Mapping[str, OptionValue] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def resolve(*sources: Options) -> Resolved:
    """Return the settings after ``sources``, weakest first, and every source's problems."""
    merged: dict[str, OptionValue] = {}
    origins: dict[str, str] = {}
    for source in sources:
        merged.update(source.values)
        origins.update(dict.fromkeys(source.values, source.origin))
    settings = Settings()
    for section in fields(Settings):
        changes = {
            key.partition(".")[2]: value
            for key, value in merged.items()
            if key.startswith(section.name + ".")
        }
        changed = replace(getattr(settings, section.name), **changes)
        settings = replace(settings, **{section.name: changed})
    problems = tuple(problem for source in sources for problem in source.problems)
    return Resolved(settings, merged, origins, problems)


def from_mapping(tree: object, origin: str) -> Options:
    """Read a nested mapping, as clients send it; a client may wrap it in ``{"fimble": ...}``."""
    if tree is None:
        return Options({})
    if isinstance(tree, Mapping) and isinstance(tree.get("fimble"), Mapping):
        tree = tree["fimble"]
    if not isinstance(tree, Mapping):
        kind = type(tree).__name__
        return Options({}, (Problem(f"{origin}: settings are {kind}, expected an object", True),))
    return _read(_flatten(tree), origin, {key: key for key in all_specs()})


def from_environment(environment: Mapping[str, str]) -> Options:
    """Read the ``FIMBLE_*`` variables; an empty one counts as not set."""
    names = {spec.variable: key for key, spec in all_specs().items()}
    written = {
        name: value
        for name, value in environment.items()
        if name.startswith(_VARIABLE_PREFIX) and name != CONFIG_VARIABLE and value
    }
    return _read(written.items(), ENVIRONMENT_ORIGIN, names)


def from_flags(flags: Mapping[str, object], origin: str = "command line") -> Options:
    """Read what the command line set, by dotted key; ``None`` means the flag was not given."""
    given = {key: value for key, value in flags.items() if value is not None}
    return _read(given.items(), origin, {key: key for key in all_specs()})


def shown(text: str) -> str:
    """Return ``text`` as it may stand in a message: on one line, short, nothing a terminal obeys."""
    cut = text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
    return cut if cut.isprintable() else repr(cut)


def _read(written: Iterable[tuple[str, object]], origin: str, names: Mapping[str, str]) -> Options:
    """Check every entry of ``written``, whose names ``names`` maps to dotted keys."""
    specs = all_specs()
    values: dict[str, OptionValue] = {}
    problems: list[Problem] = []
    num_further = 0
    for name, raw in written:
        key = names.get(name)
        value = _check(specs[key], raw) if key is not None else None
        if key is not None and value is not None:
            values[key] = value
        elif len(problems) == _MAX_NUM_PROBLEMS:
            num_further += 1
        elif key is None:
            message = f"{origin}: unknown setting {shown(name)}{_nearest(name, names)}"
            problems.append(Problem(message, False))
        else:
            message = f"{origin}: {name} is {_shown_value(specs[key], raw)}"
            problems.append(Problem(f"{message}; allowed: {specs[key].allowed}", True))
    if num_further:
        problems.append(Problem(f"{origin}: {num_further} more mistakes", False))
    return Options(values, tuple(problems), origin)


def _flatten(tree: Mapping[object, object]) -> Iterator[tuple[str, object]]:
    """Yield the entries of sections by dotted key; what lies deeper is no setting, nor is a list."""
    sections = {section.name for section in fields(Settings)}
    for name, value in tree.items():
        if isinstance(value, Mapping) and (name in sections or value):
            yield from ((f"{name}.{inner}", deeper) for inner, deeper in value.items())
        else:
            yield str(name), value


def _shown_value(spec: SettingSpec, raw: object) -> str:
    if spec.rule.secret:
        return "not usable"
    if isinstance(raw, int) and raw.bit_length() > 64:  # repr refuses thousands of digits
        return "too large"
    if isinstance(raw, str):
        cut = raw if len(raw) <= _MAX_SHOWN else raw[:_MAX_SHOWN] + "..."
        return repr(cut)
    try:
        return reprlib.repr(raw)
    except ValueError:  # such a number inside a list
        return "not usable"


def _anchored(spec: SettingSpec, text: str, folder: Path) -> str:
    if not text or not spec.rule.may_be_path or text.startswith("~"):
        return text
    if spec.key in _MODEL_NAMES and not _names_a_path(text, folder):
        return text
    return str(folder / text)


def _names_a_path(text: str, folder: Path) -> bool:
    """Whether a model's name is a path: a registry name and a hub id are none unless they are there."""
    if text == "default" or text in registered_models():
        return False
    return text.startswith(".") or text.endswith(".gguf") or os.path.isdir(folder / text)


def _nearest(name: str, names: Mapping[str, str]) -> str:
    written = name[:_MAX_SHOWN]
    # Whoever forgets the section, or takes a wrong one, has the rest right.
    without_section = {known.rpartition(".")[2]: known for known in names}
    close = difflib.get_close_matches(written, names, n=1, cutoff=0.5)
    if not close:
        last = written.rpartition(".")[2]
        ends = difflib.get_close_matches(last, without_section, n=1, cutoff=0.7)
        close = [without_section[end] for end in ends]
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(names)}"


def _check(spec: SettingSpec, raw: object) -> OptionValue | None:
    """Return ``raw`` as a value of the setting, ``None`` if it cannot be one."""
    default = spec.default
    if isinstance(default, bool):
        return _as_bool(raw)
    if isinstance(default, StrEnum):
        return _as_choice(raw, type(default))
    if isinstance(default, tuple):
        return _as_names(raw)
    if isinstance(default, int | float):
        return _as_number(raw, spec)
    return raw if isinstance(raw, str) and (raw or spec.rule.optional) else None


def _as_bool(raw: object) -> bool | None:
    if isinstance(raw, bool):
        return raw
    word = raw.strip().lower() if isinstance(raw, str) else ""
    return True if word in _TRUE else False if word in _FALSE else None


def _as_choice(raw: object, choices: type[StrEnum]) -> StrEnum | None:
    return next((choice for choice in choices if choice == raw), None)


def _as_names(raw: object) -> tuple[str, ...] | None:
    names = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(name.strip() for name in names if name.strip())


def _as_number(raw: object, spec: SettingSpec) -> int | float | None:
    kind = float if isinstance(spec.default, float) else int
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        return None
    try:
        value = kind(raw)
    except (ValueError, OverflowError):
        return None
    if isinstance(raw, float) and value != raw:
        return None
    minimum, maximum = spec.rule.minimum, spec.rule.maximum
    assert minimum is not None, spec.key
    assert maximum is not None, spec.key
    return value if minimum <= value <= maximum else None
