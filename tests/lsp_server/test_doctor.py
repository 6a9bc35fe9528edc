"""What the doctor finds on machines that lack something."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from lsp_server.cli import main
from lsp_server.commands import doctor

NAMES = [
    "fimble", "python", "torch", "processor", "memory", "device", "disk", "model", "grammars", "git"
]  # fmt: skip


def examined(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main(["doctor", "--json", *arguments])
    report = json.loads(capsys.readouterr().out)
    assert report["schema"] == 1
    assert report["can_complete"] is (code == 0)
    return code, {check["name"]: check for check in report["checks"]}


def test_a_machine_without_weights_is_told_how_to_get_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIMBLE_MODEL_CACHE_DIR", str(tmp_path / "empty"))
    code, checks = examined(capsys)
    assert code == 1
    assert list(checks) == NAMES
    assert checks["model"]["status"] == "fail"
    assert "fimble models pull qwen2.5-coder-0.5b" in checks["model"]["remedy"]
    assert checks["torch"]["status"] == "ok"
    assert "Python" in checks["grammars"]["detail"]
    assert not (tmp_path / "empty").exists(), "looking must not change anything"


def test_an_unknown_model_is_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    code, checks = examined(capsys, "--model", "qwen2.5-coder-0.5")
    assert code == 1
    assert "did you mean qwen2.5-coder-0.5b" in checks["model"]["detail"]


def test_a_missing_device_is_a_finding(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, checks = examined(capsys, "--device", "cuda")
    assert code == 1
    assert "cuda is not available" in checks["device"]["detail"]


def test_scarce_memory_disk_and_git_are_warnings(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1e9))
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1e8))
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    monkeypatch.setattr(doctor, "_cpu_flags", lambda: {"sse2"})
    monkeypatch.setattr(doctor.platform, "machine", lambda: "x86_64")
    _, checks = examined(capsys)
    for name in ("memory", "disk", "git", "processor"):
        assert checks[name]["status"] == "warn", checks[name]
        assert checks[name]["remedy"]


def test_people_read_one_line_for_each_finding(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    findings = [line for line in lines if not line.startswith(" ")]
    assert [line.split()[1].rstrip(":") for line in findings] == NAMES


@pytest.mark.weights
def test_a_machine_with_weights_can_complete(capsys: pytest.CaptureFixture[str]) -> None:
    code, checks = examined(capsys)
    assert code == 0
    assert "complete" in checks["model"]["detail"]
