from __future__ import annotations

import subprocess
import sys

from lsp_server.waiting import wait_politely


def test_threads_spin_briefly_unless_somebody_decided_otherwise() -> None:
    environ: dict[str, str] = {}
    wait_politely(environ)
    assert environ == {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0"}
    for chosen in ({"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "7", "KMP_BLOCKTIME": "5"}):
        environ = dict(chosen)
        wait_politely(environ)
        assert environ == chosen


def test_it_is_decided_before_torch_is_there() -> None:
    code = (
        "import sys, os, lsp_server; assert 'torch' not in sys.modules;"
        "assert os.environ['GOMP_SPINCOUNT'] == '1000'; import lsp_server.app"
    )
    environ = {"PATH": "", "HOME": "/nowhere"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environ, timeout=120)
