"""``fimble doctor``: what works on this machine, what is missing, and what to do about it.

Looks, never changes anything and never uses the network.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil

from lsp_server import version
from lsp_server.cache_folder import cache_folder
from lsp_server.commands.flags import add_log_flags, add_model_flags, resolve_settings
from lsp_server.settings import Settings
from retrieval.languages import GRAMMARS, load_grammar

EXIT_CANNOT_COMPLETE = 1
SCHEMA = 1

# The default model on a CPU: its share of memory while it serves, and its files once converted.
_NEEDED_MEMORY_GB = 1.6
_NEEDED_DISK_GB = 2.0
_GB = 1e9


class Status(StrEnum):
    """``fail`` means that no completion is possible."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding; ``remedy`` is empty where nothing needs to be done."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


def register(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its flags."""
    parser = subcommands.add_parser(
        "doctor",
        help="say what works on this machine, what is missing and what to do",
        description="Look at this machine without changing it. Exit code 0: completions are "
        "possible, 1: they are not.",
    )
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_model_flags(parser)
    add_log_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print every finding; fails if one of them makes completions impossible."""
    checks = examine(resolve_settings(arguments))
    can_complete = all(check.status is not Status.FAIL for check in checks)
    if arguments.json:
        found = [dataclasses.asdict(check) for check in checks]
        report = {"schema": SCHEMA, "can_complete": can_complete, "checks": found}
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        sys.stdout.writelines(_line(check) for check in checks)
    return 0 if can_complete else EXIT_CANNOT_COMPLETE


def examine(settings: Settings) -> list[Check]:
    """Return the findings, in the order in which things build on each other."""
    general: tuple[Callable[[], Check], ...] = (_fimble, _python, _torch, _processor, _memory)
    findings = [check() for check in general]
    for check_with_settings in (_device, _disk, _model):
        findings.append(check_with_settings(settings))
    return [*findings, _grammars(), _git()]


def _line(check: Check) -> str:
    remedy = f"\n      do: {check.remedy}" if check.remedy else ""
    return f"{check.status:<4}  {check.name}: {check.detail}{remedy}\n"


def _fimble() -> Check:
    return Check("fimble", Status.OK, version.current())


def _python() -> Check:
    detail = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Check("python", Status.OK, detail)


def _torch() -> Check:
    try:
        import torch
    except (ImportError, OSError) as error:
        remedy = "install fimble again, with its dependencies, in an environment of its own"
        return Check("torch", Status.FAIL, f"cannot be imported: {error}", remedy)
    return Check("torch", Status.OK, f"{torch.__version__}, {torch.get_num_threads()} threads")


def _processor() -> Check:
    features = sorted(_cpu_flags() & {"avx2", "avx512f", "avx512_vnni", "avx_vnni", "asimddp"})
    num_cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    detail = f"{num_cores} cores, {', '.join(features) or 'no vector extensions known to us'}"
    if platform.machine().lower() in {"x86_64", "amd64"} and "avx2" not in features:
        return Check("processor", Status.WARN, detail, "expect slow completions without AVX2")
    return Check("processor", Status.OK, detail)


def _cpu_flags() -> set[str]:
    """Return the processor's feature names; empty where the system does not list them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return set()
    return {
        flag
        for line in lines
        if line.lower().startswith(("flags", "features"))
        for flag in line.partition(":")[2].split()
    }


def _memory() -> Check:
    available_gb = psutil.virtual_memory().available / _GB
    detail = f"{available_gb:.1f} GB available"
    if available_gb < _NEEDED_MEMORY_GB:
        remedy = f"close programs: the default model needs {_NEEDED_MEMORY_GB} GB"
        return Check("memory", Status.WARN, detail, remedy)
    return Check("memory", Status.OK, detail)


def _device(settings: Settings) -> Check:
    try:
        import torch
    except (ImportError, OSError):
        return Check("device", Status.FAIL, "unknown without torch", "see torch above")
    present = ["cpu"]
    if torch.cuda.is_available():
        present.insert(0, "cuda")
    if torch.backends.mps.is_available():
        present.insert(0, "mps")
    wanted = settings.model.device
    if wanted != "auto" and wanted not in present:
        remedy = f"set model.device to auto or one of: {', '.join(present)}"
        return Check("device", Status.FAIL, f"{wanted} is not available", remedy)
    return Check("device", Status.OK, present[0] if wanted == "auto" else wanted)


def _grammars() -> Check:
    broken = []
    for language in GRAMMARS:
        try:
            load_grammar(language)
        except (ImportError, OSError, AttributeError, ValueError):
            broken.append(language.name)
    if broken:
        remedy = "install fimble again, with its dependencies"
        return Check("grammars", Status.WARN, f"cannot load: {', '.join(broken)}", remedy)
    return Check("grammars", Status.OK, ", ".join(language.name for language in GRAMMARS))


def _git() -> Check:
    if shutil.which("git") is None:
        return Check("git", Status.WARN, "not found", "install git; repository context needs it")
    return Check("git", Status.OK, "found")


def _disk(settings: Settings) -> Check:
    folder = cache_folder(settings.model)
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free_gb = shutil.disk_usage(existing).free / _GB
    detail = f"{free_gb:.1f} GB free in {folder}"
    if not os.access(existing, os.W_OK):
        remedy = "make it writable, or set model.cache_dir to another folder"
        return Check("disk", Status.WARN, f"{folder} cannot be written", remedy)
    if free_gb < _NEEDED_DISK_GB:
        remedy = f"free space: fetching a model takes {_NEEDED_DISK_GB:g} GB"
        return Check("disk", Status.WARN, detail, remedy)
    return Check("disk", Status.OK, detail)


def _model(settings: Settings) -> Check:
    """Look whether the weights are there and complete; their digests are `models verify`'s."""
    from models import loader
    from models.checkpoint import checkpoint_folder, open_checkpoint
    from models.errors import ModelError
    from models.progress import ignore_progress

    name, folder = settings.model.name, cache_folder(settings.model)
    try:
        device = loader.choose_device(settings.model.device)
        precision = loader.choose_precision(settings.model.precision, device)
        source = loader.find_source(name, folder, ignore_progress, allow_network=False)
        stored = open_checkpoint(checkpoint_folder(folder, source.fingerprint, precision))
        if stored is None:
            source.config()  # fails unless what it is made from is here
    except ModelError as error:
        return Check("model", Status.FAIL, str(error), f"run fimble models pull {name}")
    if stored is None:
        detail = f"{name} is here and will be converted to {precision} by the first completion"
        return Check("model", Status.OK, detail)
    size_gb = stored.size_bytes / _GB
    return Check("model", Status.OK, f"{name}, {precision}, {size_gb:.1f} GB, complete")
