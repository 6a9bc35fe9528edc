"""Flags that several commands share, and the settings they lead to.

A flag that sets a setting carries the setting's dotted key as its ``dest``. Values stay text here:
``options`` checks them, so that every source has the same rules and messages.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from lsp_server.config_files import find_project, read_project_file, read_user_file
from lsp_server.errors import BadSettingError
from lsp_server.logs import configure_logging
from lsp_server.options import Options, Resolved, from_environment, from_flags, resolve
from lsp_server.settings import Settings, all_specs
from lsp_server.trust import TrustStore


def add_model_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that choose the model and how it runs."""
    add_setting(parser, "--model", "model.name", "NAME")
    add_setting(parser, "--device", "model.device", "DEVICE")
    add_setting(parser, "--precision", "model.precision", "PRECISION")
    add_switch(parser, "--offline", "model.offline", "never fetch weights", value=True)


def add_log_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say what is logged, and where."""
    add_setting(parser, "--log-level", "server.log_level", "LEVEL")
    add_setting(parser, "--log-file", "server.log_file", "PATH")


def add_setting(parser: argparse.ArgumentParser, flag: str, key: str, metavar: str) -> None:
    """Add a flag with a value; its help is the setting's own description."""
    spec = all_specs()[key]
    meaning = f"{spec.rule.meaning} ({spec.allowed}; default: {spec.shown_default})"
    parser.add_argument(flag, dest=key, metavar=metavar, help=meaning.replace("%", "%%"))


def add_switch(
    parser: argparse.ArgumentParser, flag: str, key: str, meaning: str, *, value: bool | str
) -> None:
    """Add a flag without a value that sets ``key`` to ``value``."""
    parser.add_argument(flag, dest=key, action="store_const", const=value, help=meaning)


def flag_options(arguments: argparse.Namespace) -> Options:
    """Return the settings among the parsed arguments."""
    return from_flags({key: value for key, value in vars(arguments).items() if "." in key})


def resolve_settings(arguments: argparse.Namespace, near: Path | None = None) -> Settings:
    """Return the settings of this process, tell what is wrong with them, and start its log.

    The file of the project that ``near`` lies in counts too.

    Raises:
        BadSettingError: A flag or variable has an impossible value.
    """
    resolved = resolve_sources(arguments, near)
    report_problems(resolved)
    configure_logging(resolved.settings.server)
    return resolved.settings


def resolve_sources(arguments: argparse.Namespace, near: Path | None = None) -> Resolved:
    """Return what files, environment and command line say; for ``near``, its project's file too.

    Mistakes in files and unknown variables are ``problems`` of the result: a variable may be meant
    for another version, and a file for other commands as well.

    Raises:
        BadSettingError: A flag or variable has an impossible value.
    """
    given = (from_environment(os.environ), flag_options(arguments))
    problems = [problem for source in given for problem in source.problems]
    bad_values = [problem.message for problem in problems if problem.is_value]
    if bad_values:
        raise BadSettingError("; ".join(bad_values))
    folder = None if near is None else find_project(near)
    project = None if folder is None else read_project_file(folder, TrustStore())
    files = (read_user_file(os.environ), Options({}) if project is None else project.options)
    return resolve(*files, *given)


def report_problems(resolved: Resolved) -> None:
    """Tell on standard error what in ``resolved`` could not be used."""
    for problem in resolved.problems:
        sys.stderr.write(f"fimble: {problem.message}\n")
