"""``GET /v1/stats``, and what clients of HTTP tell."""

from __future__ import annotations

from typing import Any


def test_the_figures_are_those_of_the_process(serve: Any, tiny_service: Any) -> None:
    server = serve(tiny_service)
    answer = server.get("/v1/stats")
    assert answer.status_code == 200
    assert answer.json()["schema"] == 1
    assert answer.json()["total"]["shown"] == 0


def test_the_figures_need_the_token(serve: Any, tiny_service: Any) -> None:
    server = serve(tiny_service, token="a-token-of-some-length")
    with server.client() as client:
        assert client.get("/v1/stats", headers={"Authorization": "Bearer no"}).status_code == 401
        assert client.get("/v1/stats").status_code == 200


def test_a_program_can_tell_that_it_used_an_answer(serve: Any, tiny_service: Any) -> None:
    server = serve(tiny_service)
    answer = server.post({"prompt": "def f(", "max_tokens": 4}).json()
    feedback = server.host.feedback
    feedback.accepted(answer["id"])
    fields = feedback.fields_of(answer["id"])
    assert fields is not None
    assert (fields["accepted"], fields["accepted_length"]) == (
        "all",
        len(answer["choices"][0]["text"]),
    )
