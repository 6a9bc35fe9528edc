"""``fimble serve`` as people use it: a process, the ``openai`` client and ``curl``."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.weights]

TOKEN = "a-token-of-some-length"
PROMPT = "def add(a, b):\n    return "
SUFFIX = "\n\n\nprint(add(1, 2))\n"


def wait_until_gone(url: str) -> None:
    poll = threading.Event()
    for _ in range(200):
        try:
            httpx.get(url.removesuffix("/v1") + "/health")
        except httpx.TransportError:
            return
        poll.wait(0.05)
    raise AssertionError(f"{url} is still served")


@pytest.fixture(scope="module")
def url(serving: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("standalone"), "--standalone") as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=url, api_key="unused", max_retries=0) as client:
        yield client


def complete(client: openai.OpenAI, **wishes: Any) -> Any:
    asked = {"model": "qwen2.5-coder-0.5b", "prompt": PROMPT, "suffix": SUFFIX, "stop": "\n"}
    return client.completions.create(**{**asked, **wishes})


def test_the_openai_client_completes(client: openai.OpenAI) -> None:
    completion = complete(client)
    assert completion.choices[0].text == "a + b"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.completion_tokens >= 3
    assert completion.usage.total_tokens > completion.usage.prompt_tokens > 10


def test_the_openai_client_reads_a_stream(client: openai.OpenAI) -> None:
    chunks = list(complete(client, stream=True, stream_options={"include_usage": True}))
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == "a + b"
    assert len(chunks) > 3
    assert chunks[-1].usage.completion_tokens >= 3
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]][-1] == "stop"


def test_the_openai_client_gets_logprobs_and_choices(client: openai.OpenAI) -> None:
    completion = complete(client, logprobs=2, n=3, temperature=0.8, seed=1)
    assert [choice.index for choice in completion.choices] == [0, 1, 2]
    for choice in completion.choices:
        assert "".join(choice.logprobs.tokens).startswith(choice.text)
        assert len(choice.logprobs.top_logprobs[0]) == 2
    again = complete(client, logprobs=2, n=3, temperature=0.8, seed=1)
    assert [choice.text for choice in again.choices] == [c.text for c in completion.choices]


def test_the_openai_client_understands_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="not supported") as refused:
        complete(client, best_of=3)
    assert refused.value.param == "best_of"
    with pytest.raises(openai.NotFoundError, match="no such model"):
        complete(client, model="gpt-4")
    with pytest.raises(openai.NotFoundError, match="no chat"):
        client.chat.completions.create(model="x", messages=[{"role": "user", "content": "hi"}])
    assert [model.id for model in client.models.list()] == ["qwen2.5-coder-0.5b"]


def test_trimmed_text_ends_where_the_code_does(client: openai.OpenAI) -> None:
    wishes: dict[str, Any] = {"stop": None, "max_tokens": 64}
    raw = complete(client, **wishes).choices[0].text
    extra = {"fimble": {"trim": True, "path": "add.py"}}
    trimmed = complete(client, **wishes, extra_body=extra).choices[0].text
    assert trimmed == "a + b"
    assert raw.startswith(trimmed)


@pytest.fixture
def curl(tmp_path: Path) -> Callable[..., bytes]:
    """Return ``curl(*arguments)``: what curl prints."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")

    def run(*arguments: str, body: object = None) -> bytes:
        given = [] if body is None else ["--json", json.dumps(body)]
        done = subprocess.run(
            ["curl", "-sS", "-N", *arguments, *given], capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_curl_completes_and_streams(url: str, curl: Callable[..., bytes]) -> None:
    body = {"prompt": PROMPT, "suffix": SUFFIX, "stop": "\n"}
    whole = json.loads(curl(f"{url}/completions", body=body))
    assert whole["choices"][0]["text"] == "a + b"
    lines = curl(f"{url}/completions", body={**body, "stream": True}).decode().split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "a + b"


def test_curl_sends_a_large_body_and_reads_why_it_is_refused(
    url: str, curl: Callable[..., bytes], tmp_path: Path
) -> None:
    large = tmp_path / "large.json"
    large.write_bytes(b'{"prompt": "' + b"a" * 20_000_000 + b'"}')
    answer = curl(f"{url}/completions", "--json", f"@{large}", "-w", "%{http_code}")
    assert answer.endswith(b"413")
    assert b"http.max_body_mb" in answer


def test_the_daemon_serves_as_long_as_the_command_runs(serving: Any, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN + "\n")
    token_file.chmod(0o600)
    body = {"prompt": PROMPT, "suffix": SUFFIX, "stop": "\n"}
    with serving(tmp_path, "--token-file", str(token_file)) as url:
        refused = httpx.post(f"{url}/completions", json=body)
        assert refused.status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = httpx.post(f"{url}/completions", json=body, headers=headers, timeout=60)
        assert answer.json()["choices"][0]["text"] == "a + b"
    wait_until_gone(url)  # the daemon lives on


@pytest.mark.parametrize("flags", [("--standalone",), ()], ids=["standalone", "daemon"])
def test_what_cannot_be_served_is_said(flags: tuple[str, ...], run_fimble: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run_fimble("serve", "--port", port, *flags)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"is taken" in done.stderr
    assert b"Traceback" not in done.stderr
    done = run_fimble("serve", "--host", "0.0.0.0", "--port", "0", *flags)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"needs a token" in done.stderr
    done = run_fimble("serve", "--token-file", "missing", *flags)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"missing" in done.stderr
