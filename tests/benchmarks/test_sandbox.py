from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from benchmarks.humaneval_tasks import HoleLayout, load_tasks, program_with
from benchmarks.sandbox import Execution, Limits, Verdict, run_program

FIXTURE = Path(__file__).parent.parent / "fixtures" / "infilling_tasks.jsonl"
TIGHT = Limits(wall_s=5.0, cpu_s=2, memory_bytes=512 << 20)


def check(source: str, verdict: Verdict, detail: str = "") -> Execution:
    execution = run_program(source, TIGHT)
    assert execution.verdict is verdict, execution
    assert detail in execution.detail
    return execution


def test_program_that_reaches_its_end_passes() -> None:
    check("from typing import List\nimport math\nassert math.gcd(4, 6) == 2", Verdict.PASSED)


@pytest.mark.parametrize(
    ("source", "detail"),
    [
        ("assert 1 == 2", "AssertionError"),
        ("def f(:", "SyntaxError"),
        ("raise SystemExit(0)", ""),
        ("import os\nos._exit(0)", ""),
        ("print('x' * 100)\nundefined_name", "NameError"),
    ],
)
def test_program_that_does_not_reach_its_end_fails(source: str, detail: str) -> None:
    check(source, Verdict.FAILED, detail)


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.fork()",
        "import subprocess\nsubprocess.run(['true'])",
        "import os\nos.system('true')",
        "import socket\nsocket.create_connection(('127.0.0.1', 9))",
        "import ctypes\nctypes.CDLL(None)",
        "import shutil\nshutil.rmtree('.')",
        "import os\nos.kill(1, 9)",
    ],
)
def test_what_reaches_out_of_the_process_is_refused(source: str) -> None:
    check(source, Verdict.FAILED, "refuses")


def test_no_file_can_be_written(tmp_path: Path) -> None:
    target = tmp_path / "stolen.txt"
    for source in (
        f"open({str(target)!r}, 'w').write('x')",
        f"import os\nos.open({str(target)!r}, os.O_CREAT | os.O_RDWR)",
        f"import pathlib\npathlib.Path({str(target)!r}).write_text('x')",
    ):
        check(source, Verdict.FAILED, "refuses to write")
    assert not target.exists()


def test_endless_loop_is_stopped_by_the_processor_limit() -> None:
    started = time.monotonic()
    execution = run_program("while True: pass", TIGHT)
    assert execution.verdict is not Verdict.PASSED
    assert time.monotonic() - started < TIGHT.wall_s + 60  # a hang, not a benchmark


def test_sleeper_is_stopped_by_the_clock() -> None:
    limits = Limits(wall_s=1.0, cpu_s=1, memory_bytes=512 << 20)
    assert run_program("import time\ntime.sleep(60)", limits).verdict is Verdict.TIMEOUT


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS limits no address space")
def test_memory_hog_is_refused_its_memory() -> None:
    check("x = bytearray(2 << 30)", Verdict.FAILED, "MemoryError")


def test_environment_and_folder_are_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIMBLE_TEST_SECRET", "1")
    check("import os\nassert 'FIMBLE_TEST_SECRET' not in os.environ", Verdict.PASSED)
    check("import os\nassert os.listdir('.') == []", Verdict.PASSED)


def test_the_program_cannot_reach_files_of_the_repository_by_import() -> None:
    check("import benchmarks", Verdict.FAILED, "ModuleNotFoundError")


def test_canonical_solutions_pass_and_wrong_ones_fail() -> None:
    for task in load_tasks(FIXTURE):
        for layout in HoleLayout:
            hole = task.hole(layout)
            solution = hole.expected
            assert run_program(program_with(task, hole, solution)).verdict is Verdict.PASSED
        assert run_program(program_with(task, hole, "    return ?")).verdict is Verdict.FAILED
