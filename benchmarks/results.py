"""Result files: what was measured, by which command, on what machine and at which commit.

A result names neither the host nor any path of the machine, so it can be committed. It carries a
fingerprint of the code it measured; ``benchmarks.goals`` compares that with the code of today.
"""

from __future__ import annotations

import ast
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import cast

from benchmarks.figures import Figure

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
GOALS = ROOT / "benchmarks" / "goals.toml"

JsonValue = str | int | float | bool | None | Sequence["JsonValue"] | Mapping[str, "JsonValue"]


def write_result(
    benchmark: str,
    figures: Sequence[Figure],
    *,
    num_threads: int,
    settings: Mapping[str, JsonValue],
    notes: Sequence[str] = (),
) -> Path:
    """Write ``benchmarks/results/<benchmark>.json`` and return its path.

    Args:
        benchmark: A table of ``[benchmarks]`` in goals.toml.
        figures: What was measured; names are unique.
        num_threads: Threads the measured code was allowed.
        settings: What a reader needs to repeat the run: model, sizes, seeds.
        notes: Sentences a reader needs to judge the figures.

    Raises:
        ValueError: If two figures share a name.
    """
    names = [figure.name for figure in figures]
    if len(set(names)) != len(names):
        raise ValueError(f"figures of {benchmark} share a name: {sorted(names)}")
    result = {
        "benchmark": benchmark,
        "command": command_line(sys.argv),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--", *_tracked_scope(benchmark))),
        "measured_code": code_fingerprints(benchmark),
        "machine": machine(num_threads),
        "versions": versions(),
        "settings": settings,
        "notes": list(notes),
        "figures": [asdict(figure) for figure in figures],
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    target = RESULTS / f"{benchmark}.json"
    target.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return target


def read_result(benchmark: str) -> dict[str, JsonValue] | None:
    """Return the committed result of ``benchmark``, or ``None`` if it was never measured."""
    target = RESULTS / f"{benchmark}.json"
    if not target.exists():
        return None
    return cast(dict[str, JsonValue], json.loads(target.read_text(encoding="utf-8")))


def command_line(argv: Sequence[str]) -> str:
    """Return the command that was run, each path of this machine cut to its last part."""
    module = Path(argv[0]).stem
    words = ["python", "-m", "benchmarks" if module == "__main__" else f"benchmarks.{module}"]
    words += [Path(word).name if os.path.isabs(word) else word for word in argv[1:]]
    return " ".join(words)


def machine(num_threads: int) -> dict[str, JsonValue]:
    """Return what of this machine bears on speed."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cpu": _cpu_model(),
        "num_cores": os.cpu_count(),
        "num_threads": num_threads,
        "memory_gb": round(pages / 1e9, 1),
        "isa": _instruction_sets(),
    }


def versions() -> dict[str, JsonValue]:
    """Return the versions of Python and of the packages that set the speed."""
    found: dict[str, JsonValue] = {"python": platform.python_version()}
    for name in ("torch", "transformers", "tokenizers", "numpy"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def measured_files(benchmark: str) -> list[Path]:
    """Return the Python files whose code ``benchmark`` measures, sorted.

    Raises:
        KeyError: If goals.toml has no such benchmark.
    """
    found: set[Path] = set()
    for pattern in benchmark_table(benchmark)["measures"]:
        found.update(path for path in ROOT.glob(pattern) if path.suffix == ".py")
    return sorted(found)


def benchmark_table(benchmark: str) -> dict[str, list[str]]:
    """Return the entry of ``benchmark`` in goals.toml."""
    goals = tomllib.loads(GOALS.read_text(encoding="utf-8"))
    return cast(dict[str, list[str]], goals["benchmarks"][benchmark])


def code_fingerprints(benchmark: str) -> dict[str, str]:
    """Return a fingerprint per measured file, blind to comments, docstrings and layout.

    A commit id would call a result stale for a corrected typo, and would be lost when history is
    rewritten.
    """
    return {
        path.relative_to(ROOT).as_posix(): code_fingerprint(path.read_text(encoding="utf-8"))
        for path in measured_files(benchmark)
    }


def code_fingerprint(source: str) -> str:
    """Return 16 hex digits that change exactly when the code of ``source`` changes."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
                node.body = body[1:]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:16]


def _tracked_scope(benchmark: str) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in measured_files(benchmark)]


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _cpu_model() -> str:
    if sys.platform == "darwin":
        name = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True,
            text=True,
            check=False,
        )
        return name.stdout.strip()
    for line in _cpuinfo_lines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def _instruction_sets() -> list[str]:
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "asimddp")
    for line in _cpuinfo_lines():
        if line.startswith(("flags", "Features")):
            flags = set(line.split(":", 1)[1].split())
            return [name for name in wanted if name in flags]
    return []


def _cpuinfo_lines() -> list[str]:
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
