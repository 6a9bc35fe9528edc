"""A real VS Code with a fresh profile, driven in a browser; for tests and measurements.

What is needed is installed by ``tests/editors/install.py``. The scripts that press keys and read the
screen are in ``vscode-extension/browser``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import platformdirs

REPOSITORY = Path(__file__).resolve().parents[1]
EXTENSION = REPOSITORY / "vscode-extension"
MANIFEST = platformdirs.user_cache_path("fimble-test-editors", appauthor=False) / "editors.json"
FIMBLE = [sys.executable, "-I", "-m", "lsp_server"]
START_TIMEOUT_S = 60.0
POLL_S = 0.05
# Of this machine: a test that waits for the model must not be told that there is nothing.
PATIENT = {"fimble.completion.deadline_ms": 120_000, "fimble.server.wait_for_model": True}
QUIET = {
    "workbench.startupEditor": "none",
    "security.workspace.trust.enabled": False,
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
    "chat.disableAIFeatures": True,
    "extensions.autoCheckUpdates": False,
    "extensions.autoUpdate": False,
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "files.autoSave": "off",
}
# No gallery is asked for extensions.
NO_GALLERY = json.dumps({"serviceUrl": "http://127.0.0.1:9/none"})


class NoProgramError(Exception):
    """A program that is not installed; the message says how to install it."""


def program(name: str) -> list[str]:
    """Return how to start what ``tests/editors/install.py`` has installed under ``name``."""
    entry: dict[str, Any] = {"missing": "run tests/editors/install.py"}
    if MANIFEST.exists():
        entry = json.loads(MANIFEST.read_text(encoding="utf-8")).get(name, entry)
    if "command" not in entry:
        raise NoProgramError(f"{name} is not here: {entry['missing']}")
    command: list[str] = entry["command"]
    return command


@dataclass
class VSCode:
    """One profile in one folder; ``settings`` come on top of those that keep VS Code quiet.

    ``variables`` are of VS Code's environment, which extensions and their servers inherit.
    """

    home: Path
    settings: Mapping[str, object] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (
            "user/User",
            "user/Machine",
            "extensions",
            "server",
            "workspace",
            "second",
            "screenshots",
        ):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        settings = {
            **QUIET,
            "fimble.server.command": FIMBLE,
            "fimble.model.offline": True,
            "fimble.index.folder": str(self.home / "indexes"),
            "fimble.learning.enabled": False,
            **self.settings,
        }
        # Settings of the machine count from the second only, in a window that is a browser's.
        for name in ("User", "Machine"):
            path = self.home / "user" / name / "settings.json"
            path.write_text(json.dumps(settings), encoding="utf-8")
        folders = [{"path": "workspace"}, {"path": "second"}]
        self.two_folders.write_text(json.dumps({"folders": folders}), encoding="utf-8")

    @property
    def workspace(self) -> Path:
        """The folder that is opened."""
        return self.home / "workspace"

    @property
    def screenshots(self) -> Path:
        """The folder for pictures."""
        return self.home / "screenshots"

    @property
    def two_folders(self) -> Path:
        """A workspace of two folders, the first being ``workspace``."""
        return self.home / "two.code-workspace"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of everything that is started here, without those of who started us."""
        kept = {
            name: os.environ[name] for name in ("PATH", "OMP_NUM_THREADS") if name in os.environ
        }
        for name in ("CONFIG", "DATA", "STATE", "RUNTIME"):
            folder = self.home / name.lower()
            folder.mkdir(mode=0o700, exist_ok=True)
            kept[f"XDG_{name}_{'DIR' if name == 'RUNTIME' else 'HOME'}"] = str(folder)
        # The weights are here, whatever the other folders are.
        kept["XDG_CACHE_HOME"] = str(platformdirs.user_cache_path())
        kept |= {"HOME": str(self.home), "LANG": "C.UTF-8", "EXTENSIONS_GALLERY": NO_GALLERY}
        return {**kept, **self.variables}

    def install(self, package: Path) -> None:
        """Install an extension from its package, as a person does from a file."""
        self._run([*program("code-server"), *self._folders, "--install-extension", str(package)])

    @contextlib.contextmanager
    def serve(self, *more_flags: str) -> Iterator[str]:
        """Run VS Code's server; yield its address without a path."""
        port = free_port()
        flags = ["--host", "127.0.0.1", "--port", str(port), "--without-connection-token"]
        flags += ["--accept-server-license-terms", "--telemetry-level", "off"]
        flags += [*self._folders, *more_flags]
        with (self.home / "vscode.log").open("wb") as log:
            process = subprocess.Popen(
                [*program("code-server"), *flags],
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
            try:
                self._wait_for(process, port)
                yield f"127.0.0.1:{port}"
            finally:
                process.terminate()
                process.wait(timeout=20)
                self.fimble("daemon", "stop")

    def drive(
        self, script: str, url: str, task: Mapping[str, object], timeout_s: float = 120
    ) -> Any:
        """Return what one of the scripts in ``browser`` has seen."""
        (browser,) = program("chromium")
        given = {**task, "url": url, "browser": browser, "screenshots": str(self.screenshots)}
        finished = subprocess.run(
            [*program("vscode-extension"), str(EXTENSION / "browser" / script)],
            input=json.dumps(given),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if finished.returncode != 0:
            raise RuntimeError(f"{script} failed: {finished.stderr}\n{self.log}")
        return json.loads(finished.stdout)

    def run_host_tests(self) -> dict[str, Any]:
        """Return mocha's report of the tests inside VS Code's extension host, and what popped up."""
        report = Path(self.variables["FIMBLE_HOST_TEST_REPORT"])
        # Nothing else of ours is served like this: VS Code then lets no notification pop up.
        with self.serve("--enable-smoke-test-driver") as address:
            tests = EXTENSION / "dist/host-tests.js"
            payload = [
                ["extensionDevelopmentPath", f"vscode-remote://{address}{EXTENSION}"],
                ["extensionTestsPath", f"vscode-remote://{address}{tests}"],
            ]
            query = f"workspace={self.two_folders}&payload={quote(json.dumps(payload))}"
            seen = self.drive("host_tests.mjs", f"http://{address}/?{query}", {}, timeout_s=250)
        if not report.exists():
            raise RuntimeError(f"the tests wrote no report: {seen}; the logs:\n{self.log}")
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return {**found, "notifications": seen["notifications"]}

    def fimble(self, *words: str) -> str:
        """Run a command of fimble as this user and return what it printed."""
        finished = subprocess.run(
            [*FIMBLE, *words], env=self.environment, capture_output=True, text=True, check=False
        )
        return finished.stdout

    @property
    def log(self) -> str:
        """The ends of VS Code's and of our extension's logs."""
        paths = [self.home / "vscode.log", *self.home.rglob("fimble.fimble/fimble.log")]
        return "\n".join(path.read_text(errors="replace")[-3000:] for path in paths)

    @property
    def _folders(self) -> list[str]:
        names = {"user-data": "user", "extensions": "extensions", "server-data": "server"}
        return [word for key, name in names.items() for word in (f"--{key}-dir", self._path(name))]

    def _path(self, name: str) -> str:
        return str(self.home / name)

    def _wait_for(self, process: subprocess.Popen[bytes], port: int) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while process.poll() is None and time.monotonic() < deadline:
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{port}/version", timeout=5),
            ):
                return
            time.sleep(POLL_S)
        raise RuntimeError(f"VS Code's server did not start:\n{self.log}")

    def _run(self, command: Sequence[str]) -> None:
        subprocess.run(
            command, env=self.environment, check=True, capture_output=True, timeout=START_TIMEOUT_S
        )


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def build_extension(*, with_tests: bool = False) -> None:
    """Bundle the extension, and the tests for the extension host if they are wanted."""
    script = str(EXTENSION / "scripts/build.mjs")
    flags = ["--tests"] if with_tests else []
    command = [*program("vscode-extension"), script, *flags]
    subprocess.run(command, cwd=EXTENSION, check=True, capture_output=True, timeout=120)


def package_extension(folder: Path) -> Path:
    """Return the package of the extension, made in ``folder``, without the server's wheel."""
    package = folder / "fimble.vsix"
    vsce = str(EXTENSION / "node_modules/@vscode/vsce/vsce")
    words = ["package", "--no-dependencies", "--allow-missing-repository", "--out", str(package)]
    # It runs the build by npm, which has to be the one beside this Node.js.
    node = program("vscode-extension")
    found = shutil.which("npm") or ""
    path = os.pathsep.join([str(Path(node[0]).parent), str(Path(found).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path}
    command = [*node, vsce, *words]
    subprocess.run(
        command, cwd=EXTENSION, env=environment, check=True, capture_output=True, timeout=120
    )
    return package
