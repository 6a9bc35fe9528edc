"""What a user installs: exactly the five packages, typed, with one command."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"lsp_server", "completion", "retrieval", "kvedit", "models"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), "."],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = target.glob("fimble-*.whl")
    return zipfile.ZipFile(built)


def dist_info(wheel: zipfile.ZipFile, name: str) -> str:
    (found,) = (n for n in wheel.namelist() if n.endswith(f".dist-info/{name}"))
    return wheel.read(found).decode()


def test_top_level_of_the_wheel_is_the_five_packages(wheel: zipfile.ZipFile) -> None:
    top_level = {name.split("/")[0] for name in wheel.namelist()}
    (metadata,) = (name for name in top_level if name.endswith(".dist-info"))
    assert top_level == {*PACKAGES, metadata}
    assert metadata.startswith("fimble-")


def test_every_module_of_the_packages_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    here = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    assert here == {name for name in wheel.namelist() if name.endswith(".py")}


def test_the_wheel_holds_the_built_dashboard_and_not_what_it_is_built_from(
    wheel: zipfile.ZipFile,
) -> None:
    folder = ROOT / "lsp_server/dashboard/built"
    built = {f"lsp_server/dashboard/built/{path.name}" for path in folder.iterdir()}
    shipped = {name for name in wheel.namelist() if name.startswith("lsp_server/dashboard/")}
    assert "lsp_server/dashboard/built/index.html" in built
    assert shipped == built


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_package_ships_its_types(wheel: zipfile.ZipFile, package: str) -> None:
    assert f"{package}/py.typed" in wheel.namelist()


def test_wheel_installs_the_fimble_command(wheel: zipfile.ZipFile) -> None:
    assert "fimble = lsp_server.cli:main" in dist_info(wheel, "entry_points.txt")


def test_wheel_carries_the_licence_and_states_it(wheel: zipfile.ZipFile) -> None:
    assert "License-Expression: Apache-2.0" in dist_info(wheel, "METADATA")
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


def test_metadata_asks_for_the_python_that_is_tested(wheel: zipfile.ZipFile) -> None:
    assert "Requires-Python: >=3.11" in dist_info(wheel, "METADATA")
