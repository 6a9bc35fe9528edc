"""Our extension in a real VS Code: inside its extension host, and on its screen.

What runs inside the host is in ``vscode-extension/host-tests``; how keys are pressed and the screen
is read, in ``vscode-extension/browser``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.vscode_workbench import (
    EXTENSION,
    FIMBLE,
    PATIENT,
    VSCode,
    build_extension,
    package_extension,
)

AREA = "def area(width, height):\n    \n\n\nprint(area(width=2, height=3))\n"
CAREFUL = {
    "security.workspace.trust.enabled": True,
    "security.workspace.trust.startupPrompt": "never",
    "security.workspace.trust.banner": "never",
}
# Each would end in an error or in no ghost text if it counted.
MALICIOUS = {
    "fimble.server.command": ["/no/such/program"],
    "fimble.model.name": "/no/such/model",
    "fimble.completion.max_new_tokens": 1,
}

STAND_IN = """
import os, sys

def main():
    if sys.argv[1:] == ["--version"]:
        print("fimble 9.9.9")
    else:
        os.execv({fimble}[0], [*{fimble}, *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def vscode(editor_command: Callable[[str], list[str]]) -> None:
    """Skip without VS Code, a browser or the extension's tools."""
    for name in ("code-server", "chromium", "vscode-extension"):
        editor_command(name)


@pytest.fixture(scope="module")
def host_report(vscode: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("h")
    report = home / "report.json"
    build_extension(with_tests=True)
    wheel = make_wheel(home)
    variables = {"FIMBLE_HOST_TEST_REPORT": str(report), "FIMBLE_HOST_TEST_WHEEL": str(wheel)}
    return VSCode(home, PATIENT, variables).run_host_tests()


def make_wheel(folder: Path) -> Path:
    """Return a wheel without dependencies, of version 9.9.9, whose server is this one's."""
    wheel = folder / "wheels/fimble-9.9.9-py3-none-any.whl"
    wheel.parent.mkdir()
    about = "fimble-9.9.9.dist-info"
    files = {
        "stand_in.py": STAND_IN.format(fimble=FIMBLE),
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: fimble\nVersion: 9.9.9\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": "[console_scripts]\nfimble = stand_in:main\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel


def test_every_test_inside_the_extension_host_passes(host_report: dict[str, Any]) -> None:
    failures = [
        f"{test['fullTitle']}: {test['err'].get('message')}\n{test['err'].get('stack')}"
        for test in host_report["failures"]
    ]
    assert not failures, "\n".join(failures)
    assert host_report["stats"]["passes"] >= 29


def test_no_error_popped_up_but_of_the_installations_that_failed(
    host_report: dict[str, Any],
) -> None:
    # Servers died and hung, too. These were asked for by the person who reads them.
    ours = [note for note in host_report["notifications"] if "fimble" in note["source"]]
    errors = [note["text"] for note in ours if note["isError"]]
    reasons = [error.removeprefix("The server could not be installed: ") for error in errors]
    assert sorted(reason.partition(":")[0] for reason in reasons) == [
        "fimble.install.python",
        "installing failed",
    ]


@pytest.fixture(scope="module")
def seen(vscode: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a person saw who installed the package, opened a folder, typed, and pressed Tab.

    The folder is one that nobody has said to trust, and its settings are after the machine.
    """
    home = tmp_path_factory.mktemp("g")
    package = package_extension(home)
    code = VSCode(home, {**PATIENT, **CAREFUL})
    (code.workspace / "shapes.py").write_text(AREA)
    (code.workspace / ".vscode").mkdir()
    (code.workspace / ".vscode/settings.json").write_text(json.dumps(MALICIOUS))
    code.install(package)
    with code.serve() as address:
        url = f"http://{address}/?folder={code.workspace}"
        found: dict[str, Any] = code.drive("ghost_text.mjs", url, {})
    found["saved"] = (code.workspace / "shapes.py").read_text()
    found["screenshots"] = sorted(path.name for path in code.screenshots.iterdir())
    return found


def test_ghost_text_is_on_the_screen_behind_what_was_typed(seen: dict[str, Any]) -> None:
    assert seen["ghost"] == "th * height"
    assert seen["drawn"] == "    return width * height"
    assert seen["screenshots"] == ["accepted.png", "ghost.png"]


def test_the_folder_that_nobody_trusts_was_open_in_restricted_mode(seen: dict[str, Any]) -> None:
    assert seen["isRestricted"]


def test_tab_takes_it_into_the_file(seen: dict[str, Any]) -> None:
    assert seen["taken"] == "    return width * height"
    assert seen["saved"] == AREA.replace("    \n", "    return width * height\n", 1)


def test_the_dashboard_opens_in_the_browser_with_a_ticket(seen: dict[str, Any]) -> None:
    # Another port of this machine is reached through VS Code's server, which puts it in the path.
    assert seen["dashboard"].endswith("/dashboard/#ticket=T")


def test_nothing_popped_up_meanwhile(seen: dict[str, Any]) -> None:
    assert seen["notifications"] == []


def test_the_extension_offers_the_servers_settings_and_no_others() -> None:
    script = EXTENSION / "scripts/generate_settings.py"
    finished = subprocess.run([sys.executable, str(script), "--check"], check=False)
    assert finished.returncode == 0, f"run {script} with this interpreter and commit what it writes"
