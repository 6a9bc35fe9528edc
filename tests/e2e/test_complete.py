"""``fimble complete`` as a process, with the real model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.weights]

SOURCE = "def add(a, b):\n    return \n\n\nprint(add(1, 2))\n"


def test_the_text_is_printed_by_both_ways_to_start(
    run_fimble: Callable[..., Any], either_command: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "add.py").write_text(SOURCE)
    done = run_fimble("complete", "add.py:2:12", "--standalone", command=either_command)
    assert (done.stdout, done.stderr, done.returncode) == (b"a + b", b"", 0)


def test_the_object_reports_what_was_computed(
    run_fimble: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "add.py").write_text(SOURCE)
    done = run_fimble("complete", "add.py:2:12", "--json", "--exact", "--no-speculation")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["outcome"], found["text"], found["exactness"]) == ("suggestion", "a + b", "exact")
    assert found["candidates"][0]["text"] == "a + b"
    assert found["candidates"][0]["logprob"] < 0 < found["confidence"] <= 1
    prompt = found["prompt"]
    assert prompt["num_tokens"] == (
        prompt["num_cached_tokens"] + prompt["num_patched_tokens"] + prompt["num_new_tokens"]
    )
    timings = found["timings_ms"]
    assert timings["total"] >= timings["prefill"] + timings["decode"] > 0
    assert found["speculation"]["num_draft_tokens"] == 0


@pytest.mark.parametrize(
    ("text", "place"),
    [("", "1:1"), ("value = 1\n" * 50_000, "25000:9"), ("x = '" + "y" * 200_000, "1:200006")],
    ids=["empty", "50,000 lines", "200 kB on a line"],
)
def test_an_unusual_file_gets_an_outcome_within_the_prompt_budget(
    run_fimble: Callable[..., Any], tmp_path: Path, text: str, place: str
) -> None:
    (tmp_path / "a.py").write_text(text)
    done = run_fimble(
        *("complete", f"a.py:{place}", "--json", "--max-tokens", "4"),
        env={"FIMBLE_PROMPT_MAX_NUM_TOKENS": "256"},
    )
    assert done.returncode in (0, 3), done.stderr
    assert b"Traceback" not in done.stderr
    found = json.loads(done.stdout)
    assert found["outcome"] == ("suggestion" if done.returncode == 0 else "none")
    assert found["prompt"]["num_tokens"] <= 256
