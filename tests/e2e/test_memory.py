"""How much memory one completion takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.weights,
    pytest.mark.skipif(sys.platform == "win32", reason="no resource module"),
]

LIMIT_BYTES = 1.6e9

# A process's peak includes what it was forked from, and this one may have a model in memory: so a
# small process stands in between.
MEASURE = """
import resource, subprocess, sys
done = subprocess.run([sys.executable, "-I", "-m", "lsp_server", *sys.argv[1:]], check=False)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
sys.stderr.write(f"{peak * (1 if sys.platform == 'darwin' else 1024)}")
sys.exit(done.returncode)
"""


def test_a_completion_on_the_cpu_stays_below_its_memory_limit(tmp_path: Path) -> None:
    lines = [f"def function_{n}(value):\n    return value + {n}\n\n\n" for n in range(400)]
    (tmp_path / "long.py").write_text("".join(lines) + "def add(a, b):\n    return \n")
    place = f"long.py:{4 * 400 + 2}:12"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            MEASURE,
            "complete",
            "--standalone",
            place,
            "--device",
            "cpu",
            "--offline",
        ],
        cwd=tmp_path,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert (done.stdout, done.returncode) == (b"a + b", 0), done.stderr
    peak_bytes = int(done.stderr)
    assert 0.4e9 < peak_bytes < LIMIT_BYTES, "below the weights' own size nothing was measured"
