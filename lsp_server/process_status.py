"""What this process holds, as the JSON that the command line and the live view show."""

from __future__ import annotations

import dataclasses
import os
import time
from typing import TYPE_CHECKING, Any

import psutil

from lsp_server import version

if TYPE_CHECKING:
    from lsp_server.host import ModelHost


def process_status(host: ModelHost) -> dict[str, Any]:
    """Return models, indexes, and how much cache and memory they take."""
    process, machine = psutil.Process(), psutil.virtual_memory()
    resident = process.memory_info().rss
    models = [dataclasses.asdict(status) for status in host.status()]
    return {
        "time": time.time(),
        "version": version.current(),
        "pid": os.getpid(),
        "uptime_s": round(max(0.0, time.time() - process.create_time()), 1),
        "resident_bytes": resident,
        "models": models,
        "indexes": [dataclasses.asdict(index) for index in host.workspaces.status()],
        "cache": _cache(models),
        "memory": {
            "resident_bytes": resident,
            "total_bytes": machine.total,
            "available_bytes": machine.available,
        },
    }


def _cache(models: list[dict[str, Any]]) -> dict[str, int]:
    """Return the sums over all models; each model's own figures stand beside its name."""
    names = ("num_slots", "num_used_slots", "num_computed", "num_healed")
    return {name: sum(model["cache"][name] for model in models) for name in names}
