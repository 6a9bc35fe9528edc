"""Rules about the repository that no linter knows."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("lsp_server", "completion", "retrieval", "kvedit", "models")
MAX_NUM_LINES = 400
MAX_NUM_FUNCTION_LINES = 60
TEXT_SUFFIXES = {".py", ".md", ".toml", ".txt", ".lua", ".ts", ".json", ".yml", ".yaml", ".sh", ""}
# Written so that this file does not hold what it looks for.
MACHINE_PATHS = re.compile(
    r"(?<![\w.~-])/(?:work|root|farm|home/\w+|Users/\w+)/|[A-Z]:\\Users\\|/tmp/[a-z]"
)
PACKAGE_INDEX = re.compile(
    r"https?://[^\s\"')]*/simple\b|extra-index-url\s+http|--index-url\s+http"
)


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [path for name in listed if (path := ROOT / name).is_file()]


def python_files() -> list[Path]:
    return [path for path in tracked_files() if path.suffix == ".py"]


def package_files() -> list[Path]:
    return [path for path in python_files() if path.relative_to(ROOT).parts[0] in PACKAGES]


def text_files() -> list[Path]:
    return [path for path in tracked_files() if path.suffix in TEXT_SUFFIXES]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def read(path: Path | str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*):", read("Makefile"), flags=re.MULTILINE))


@pytest.fixture(scope="module")
def architecture() -> str:
    return read("ARCHITECTURE.md")


def check_none(offenders: list[str]) -> None:
    assert not offenders, "\n" + "\n".join(offenders)


def test_files_fit_a_short_read() -> None:
    lengths = {name_of(path): len(read(path).splitlines()) for path in python_files()}
    check_none([f"{name}: {n} lines" for name, n in lengths.items() if n > MAX_NUM_LINES])


def test_functions_fit_on_a_screen() -> None:
    check_none(
        [
            f"{name_of(path)}: {node.name} has {num_lines} lines"
            for path in package_files()
            for node in ast.walk(ast.parse(read(path)))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and (num_lines := (node.end_lineno or 0) - node.lineno + 1) > MAX_NUM_FUNCTION_LINES
        ]
    )


def test_modules_say_what_they_are_for() -> None:
    check_none([name_of(p) for p in package_files() if not ast.get_docstring(ast.parse(read(p)))])


def test_packages_never_print_because_stdout_belongs_to_the_protocol() -> None:
    check_none(
        [
            f"{name_of(path)}:{node.lineno}"
            for path in package_files()
            for node in ast.walk(ast.parse(read(path)))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "print"
        ]
    )


def test_architecture_names_every_module(architecture: str) -> None:
    check_none([name_of(path) for path in package_files() if not is_named(path, architecture)])


def is_named(path: Path, architecture: str) -> bool:
    """Return whether the map names the module, or the folder inside a package that holds it."""
    folder = path.parent.name
    if path.name == "__init__.py" or folder not in PACKAGES:
        return re.search(rf"\b{folder}\b", architecture) is not None
    return re.search(rf"\b{re.escape(path.stem)}\b", architecture) is not None


@pytest.mark.parametrize("package", PACKAGES)
def test_package_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_no_file_names_a_path_of_a_machine_or_a_package_index() -> None:
    check_none(
        [
            f"{name_of(path)}: {found.group(0)}"
            for path in text_files()
            if path != Path(__file__).resolve()
            for pattern in (MACHINE_PATHS, PACKAGE_INDEX)
            if (found := pattern.search(read(path)))
        ]
    )


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", "docs/STYLE.md"])
def test_make_commands_in_documents_exist(path: str, make_targets: set[str]) -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z][\w-]*)", read(path), flags=re.MULTILINE))
    assert named <= make_targets


def test_readme_names_the_two_commands() -> None:
    assert {"make demo", "make test"} <= set(re.findall(r"make \w+", read("README.md")))


def test_relative_links_of_documents_lead_somewhere() -> None:
    check_none(
        [
            f"{name_of(path)}: {link}"
            for path in tracked_files()
            if path.suffix == ".md"
            for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", read(path))
            if "://" not in link and not link.startswith("mailto:")
            if not (path.parent / link).exists()
        ]
    )


def test_licence_is_there_and_is_the_one_the_project_declares() -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in read("LICENSE")


def test_every_dependency_is_pinned_for_fresh_machines() -> None:
    table = tomllib.loads(read("pyproject.toml"))
    wanted = [*table["project"]["dependencies"], *table["dependency-groups"]["test"]]
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in read("constraints.txt").splitlines()
        if line and not line.startswith("#")
    }
    names = {re.split(r"[<>=!~;\[ ]", text)[0].lower().replace("_", "-") for text in wanted}
    assert names <= pinned, f"missing in constraints.txt: {sorted(names - pinned)}"


def test_ci_runs_what_contributors_run() -> None:
    assert "make test" in read(".ci/run")
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_holes_of_the_demo_are_in_the_files_it_shows() -> None:
    spec = importlib.util.spec_from_file_location("demo", ROOT / "docs" / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    demo = importlib.util.module_from_spec(spec)
    sys.modules["demo"] = demo  # dataclasses look their module up there
    spec.loader.exec_module(demo)
    for hole in demo.HOLES:
        prefix, suffix = hole.cut()
        assert prefix.endswith(hole.before)
        assert prefix + hole.removed + suffix == read(hole.path)
