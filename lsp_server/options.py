"""What the user wrote, in four places, and its way into one settings tree.

Sources from weakest to strongest: defaults, the client's ``initializationOptions``, its
``workspace/didChangeConfiguration``, ``FIMBLE_*`` variables, flags. Each is read into the same
form, dotted keys with checked values; nothing is dropped in silence.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum

from lsp_server.settings import Settings, SettingSpec, all_specs

OptionValue = bool | int | float | str | tuple[str, ...]
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}
_VARIABLE_PREFIX = "FIMBLE_"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something the user wrote that cannot be used; ``is_value`` tells a bad value from a bad name."""

    message: str
    is_value: bool


@dataclass(frozen=True, slots=True)
class Options:
    """The usable part of one source, and what was wrong with the rest."""

    values: Mapping[str, OptionValue]
    problems: tuple[Problem, ...] = ()


def resolve(*sources: Options) -> tuple[Settings, tuple[Problem, ...]]:
    """Return the settings after ``sources``, weakest first, and every source's problems."""
    merged: dict[str, OptionValue] = {}
    for source in sources:
        merged.update(source.values)
    settings = Settings()
    for section in fields(Settings):
        changes = {
            key.partition(".")[2]: value
            for key, value in merged.items()
            if key.startswith(section.name + ".")
        }
        changed = replace(getattr(settings, section.name), **changes)
        settings = replace(settings, **{section.name: changed})
    return settings, tuple(problem for source in sources for problem in source.problems)


def from_mapping(tree: object, origin: str) -> Options:
    """Read a nested mapping, as clients send it; a client may wrap it in ``{"fimble": ...}``."""
    if tree is None:
        return Options({})
    if isinstance(tree, Mapping) and isinstance(tree.get("fimble"), Mapping):
        tree = tree["fimble"]
    if not isinstance(tree, Mapping):
        kind = type(tree).__name__
        return Options({}, (Problem(f"{origin}: settings are {kind}, expected an object", True),))
    return _read(dict(_flatten(tree)), origin, {key: key for key in all_specs()})


def from_environment(environment: Mapping[str, str]) -> Options:
    """Read the ``FIMBLE_*`` variables; an empty one counts as not set."""
    names = {spec.variable: key for key, spec in all_specs().items()}
    written = {
        name: value
        for name, value in environment.items()
        if name.startswith(_VARIABLE_PREFIX) and value
    }
    return _read(written, "environment", names)


def from_flags(flags: Mapping[str, object], origin: str = "command line") -> Options:
    """Read what the command line set, by dotted key; ``None`` means the flag was not given."""
    given = {key: value for key, value in flags.items() if value is not None}
    return _read(given, origin, {key: key for key in all_specs()})


def _read(written: Mapping[str, object], origin: str, names: Mapping[str, str]) -> Options:
    """Check every entry of ``written``, whose names ``names`` maps to dotted keys."""
    specs = all_specs()
    values: dict[str, OptionValue] = {}
    problems: list[Problem] = []
    for name, raw in written.items():
        key = names.get(name)
        if key is None:
            problems.append(
                Problem(f"{origin}: unknown setting {name}{_nearest(name, names)}", False)
            )
            continue
        value = _check(specs[key], raw)
        if value is None:
            allowed = specs[key].allowed
            problems.append(Problem(f"{origin}: {name} is {raw!r}; allowed: {allowed}", True))
        else:
            values[key] = value
    return Options(values, tuple(problems))


def _flatten(tree: Mapping[object, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _flatten(value, key + ".")
        else:
            yield key, value


def _nearest(name: str, names: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
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
