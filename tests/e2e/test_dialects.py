"""The real model behind the words of llama.vim, llama.vscode, Tabby and ``FimbleClient``."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from lsp_server.client import FimbleClient

pytestmark = [pytest.mark.e2e, pytest.mark.weights]

ABOVE = (
    "PI = 3.14159\n\n\ndef square_area(side):\n    return side * side\n\n\n"
    "def circle_area(radius):\n"
)
LINE = "    return PI * "
BELOW = "\n\n\nprint(circle_area(2))\n"
HELPERS = "def clamp_to_percent(value):\n    return max(0, min(100, value))\n"


@pytest.fixture(scope="module")
def url(serving: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("dialects"), "--standalone") as url:
        yield url.removesuffix("/v1")


def ask_as_llama_vim(url: str, **more: Any) -> dict[str, Any]:
    """Send what llama.vim sends by its own means, and return what it reads."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    stages = ("n", "ms", "per_token_ms", "per_second")
    timings = [f"timings/{part}_{stage}" for part in ("prompt", "predicted") for stage in stages]
    body = {
        "id_slot": 0,
        "input_prefix": ABOVE,
        "input_suffix": BELOW,
        "input_extra": [],
        "prompt": LINE,
        "n_predict": 128,
        "stop": [],
        "n_indent": 4,
        "top_k": 40,
        "top_p": 0.90,
        "samplers": ["top_k", "top_p", "infill"],
        "stream": False,
        "cache_prompt": True,
        "t_max_prompt_ms": 20_000,  # of a test beside others; llama.vim allows half a second
        "t_max_predict_ms": 20_000,
        "response_fields": ["content", *timings, "truncated", "tokens_cached"],
        "model": "",
        **more,
    }
    command = [curl, "--silent", "--no-buffer", "--request", "POST", "--url", f"{url}/infill"]
    headers = ["Content-Type: application/json", "Authorization: Bearer "]
    sent = [
        *command,
        "--data",
        "@-",
        *(word for header in headers for word in ("--header", header)),
    ]
    done = subprocess.run(
        sent, input=json.dumps(body).encode(), capture_output=True, timeout=120, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_llama_vim_gets_the_rest_of_the_line_and_the_next_key_costs_little(url: str) -> None:
    first = ask_as_llama_vim(url)
    assert first["content"].startswith("radius")
    assert first["timings/predicted_n"] > 0
    typed = ask_as_llama_vim(url, prompt=LINE + "(")
    assert "radius" in typed["content"]
    assert typed["timings/prompt_n"] < 6
    assert typed["tokens_cached"] > 20


def test_llama_vim_has_its_chunks_shown(url: str) -> None:
    hole = {
        "input_prefix": "from helpers import *\n\n\ndef show(share):\n",
        "prompt": "    print(clamp_",
        "input_suffix": "\n",
    }
    chunks = [{"text": HELPERS, "time": [3, 4], "filename": "helpers.py"}]
    ahead = {"input_prefix": "", "input_suffix": "", "prompt": "", "n_predict": 0}
    assert ask_as_llama_vim(url, **ahead, input_extra=chunks, response_fields=[""]) == {}
    assert "to_percent(share" in ask_as_llama_vim(url, **hole, input_extra=chunks)["content"]
    assert "to_percent" not in ask_as_llama_vim(url, **hole)["content"]


def test_llama_vscode_gets_several_texts(url: str) -> None:
    body = {
        "id_slot": 0,
        "input_prefix": "def middle(values):\n    values = sorted(values)\n",
        "input_suffix": "\n\n\nprint(middle([3, 1, 2]))\n",
        "input_extra": [],
        "prompt": "    ",
        "n_predict": 64,
        "n_cmpl": 3,
        "top_k": 40,
        "top_p": 0.99,
        "stream": False,
        "samplers": ["top_k", "top_p", "infill"],
        "cache_prompt": True,
        "t_max_prompt_ms": 20_000,
        "t_max_predict_ms": 20_000,
    }
    answer = httpx.post(f"{url}/infill", json=body, timeout=120).json()
    texts = [one["content"] for one in answer]
    assert len(set(texts)) == len(texts) >= 2
    assert any("values" in text for text in texts)
    assert answer[0]["generation_settings"]["n_ctx"] > 0
    assert httpx.get(f"{url}/health").json()["status"] == "ok"


def test_tabby_gets_what_its_declarations_are_for(url: str) -> None:
    segments = {
        "prefix": "from helpers import *\n\n\ndef show(share):\n    print(clamp_",
        "suffix": "\n",
        "filepath": "show.py",
        "declarations": [{"filepath": "helpers.py", "body": HELPERS}],
    }
    body = {"language": "python", "segments": segments, "user": "test"}
    answer = httpx.post(f"{url}/v1/completions", json=body, timeout=120).json()
    ((choice,),) = [answer["choices"]]
    assert "to_percent(share" in choice["text"]
    event = {"type": "select", "completion_id": answer["id"], "choice_index": 0}
    assert httpx.post(f"{url}/v1/events", json=event).status_code == 200
    feedback = httpx.get(f"{url}/v1/explain/{answer['id']}").json()["feedback"]
    assert feedback["accepted"] == "all"
    assert httpx.get(f"{url}/v1/health").json()["model"] == "qwen2.5-coder-0.5b"


def test_a_script_pays_for_its_edits_alone(url: str) -> None:
    many = "".join(f"LIMIT_{number} = {number}\n" for number in range(120))
    text = f"{many}\n\ndef circle_area(radius):\n{LINE}\n"
    with FimbleClient(url).open_document(text, path="areas.py") as document:
        document.cursor = len(text) - 1
        first = document.complete()
        assert first.text.startswith("radius")
        assert first.usage["computed_tokens"] > 500
        document.insert(0, "# Limits and areas.\n")
        document.insert(len(document.text) - 1, "radius ** ")
        second = document.complete()
        assert second.text.startswith("2")
        assert second.usage["prompt_tokens"] > 500
        assert second.usage["computed_tokens"] < 60
        document.accept(second)
        assert document.text.endswith(f"radius ** {second.text}\n")
        assert FimbleClient(url).explain(second.id)["feedback"]["accepted"] == "all"
