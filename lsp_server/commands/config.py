"""``fimble config``: what is set, where it was written, and which projects the user trusts."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from lsp_server.commands.flags import resolve_sources
from lsp_server.config_files import PROJECT_FILE_NAME, find_project, read_project_file
from lsp_server.errors import BadInputError
from lsp_server.options import DEFAULT_ORIGIN, ENVIRONMENT_ORIGIN, Resolved, shown
from lsp_server.settings import SettingSpec, all_specs
from lsp_server.trust import TrustStore
from lsp_server.user_file import user_file_path

EXIT_NONE = 1
_SCHEMA = 1


def register(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its actions."""
    parser = subcommands.add_parser(
        "config",
        help="show the settings and where they come from, trust a project's file",
        description="Look at the settings. Exit code 0: done, 1: there is nothing of the kind, "
        "2: bad input.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    show = actions.add_parser("show", help="print every setting, its value and its origin")
    show.set_defaults(run=_show)
    show.add_argument("--json", action="store_true", help="print one JSON object")
    _add_for(show, "count the project's file of PATH too")
    path = actions.add_parser("path", help="print where the user's file is, or would be")
    path.set_defaults(run=_path)
    _add_for(path, "print where the project's file of PATH is instead")
    trust = actions.add_parser("trust", help="let all settings of a project's file count")
    trust.set_defaults(run=_trust)
    untrust = actions.add_parser("untrust", help="take that back")
    untrust.set_defaults(run=_untrust)
    for action in (trust, untrust):
        action.add_argument("folder", nargs="?", default=".", metavar="DIR", type=Path)


def _add_for(parser: argparse.ArgumentParser, meaning: str) -> None:
    parser.add_argument("--for", dest="near", type=Path, metavar="PATH", help=meaning)


def _show(arguments: argparse.Namespace) -> int:
    resolved = resolve_sources(arguments, arguments.near)
    if arguments.json:
        sys.stdout.write(json.dumps(_as_object(resolved)) + "\n")
        return 0
    rows = [(key, _text(spec, resolved), _origin(spec, resolved)) for key, spec in _specs()]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for key, value, origin in rows:
        sys.stdout.write(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {origin}\n")
    for problem in resolved.problems:
        sys.stderr.write(f"fimble: {problem.message}\n")
    return 0


def _specs() -> list[tuple[str, SettingSpec]]:
    return list(all_specs().items())


def _as_object(resolved: Resolved) -> dict[str, object]:
    return {
        "schema": _SCHEMA,
        "settings": [
            {"key": key, "value": _value(spec, resolved), "origin": _origin(spec, resolved)}
            for key, spec in _specs()
        ],
        "problems": [problem.message for problem in resolved.problems],
    }


def _value(spec: SettingSpec, resolved: Resolved) -> object:
    """Return the value as JSON has it; of a secret, only whether there is one."""
    value = resolved.values.get(spec.key, spec.default)
    if spec.rule.secret:
        return "***" if value else ""
    return list(value) if isinstance(value, tuple) else value


def _text(spec: SettingSpec, resolved: Resolved) -> str:
    value = _value(spec, resolved)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return shown(", ".join(value)) if value else "empty"
    if isinstance(value, float):
        return f"{value:g}"
    return shown(str(value)) or "empty"


def _origin(spec: SettingSpec, resolved: Resolved) -> str:
    origin = resolved.origins.get(spec.key, DEFAULT_ORIGIN)
    return f"{origin} {spec.variable}" if origin == ENVIRONMENT_ORIGIN else origin


def _path(arguments: argparse.Namespace) -> int:
    if arguments.near is None:
        sys.stdout.write(f"{user_file_path(os.environ)}\n")
        return 0
    folder = find_project(arguments.near)
    if folder is None:
        sys.stderr.write(f"fimble: no {PROJECT_FILE_NAME} in {arguments.near} or above it\n")
        return EXIT_NONE
    sys.stdout.write(f"{folder / PROJECT_FILE_NAME}\n")
    return 0


def _trust(arguments: argparse.Namespace) -> int:
    """Trust the file as it was read here: what is printed is what is trusted."""
    folder = Path(os.path.abspath(arguments.folder))
    store = TrustStore()
    file = read_project_file(folder, store)
    if file is None:
        raise BadInputError(f"{folder / PROJECT_FILE_NAME}: there is no such file")
    if file.content is None:
        raise BadInputError("; ".join(problem.message for problem in file.options.problems))
    store.trust(folder, file.content)
    trusted = read_project_file(folder, store)
    options = file.options if trusted is None else trusted.options
    for problem in options.problems:
        sys.stderr.write(f"fimble: {problem.message}\n")
    specs = all_specs()
    for key, value in options.values.items():
        told = "***" if specs[key].rule.secret else shown(str(value))
        sys.stdout.write(f"{key} = {told}\n")
    sys.stdout.write(f"trusted until it changes: {shown(str(file.path))}\n")
    return 0


def _untrust(arguments: argparse.Namespace) -> int:
    folder = Path(os.path.abspath(arguments.folder))
    if TrustStore().untrust(folder):
        return 0
    sys.stderr.write(f"fimble: {folder} was not trusted\n")
    return EXIT_NONE
