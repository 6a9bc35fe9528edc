"""Serves the dashboard with made-up requests, behind the real checks; prints the page's address.

One argument: how many seconds pass between requests that go on arriving; 0 for none. A second one,
``empty``, begins with nothing at all.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import samples
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse, StreamingResponse

from lsp_server.http import errors
from lsp_server.http.access import Access, AccessCheck
from lsp_server.http.dashboard import add_dashboard
from lsp_server.http.errors import ApiError
from lsp_server.http.metrics import HttpMetrics
from lsp_server.http.observe import Observe

TOKEN = "a-token+for/tests=only"  # with what such as `openssl rand -base64` puts into one


def make_app(every_s: float, *, is_empty: bool) -> FastAPI:
    """Return the page and the routes that it draws on."""
    app = FastAPI(redirect_slashes=False)
    errors.install(app)
    add_dashboard(app)
    known: list[dict[str, Any]] = [] if is_empty else samples.requests()

    @app.get("/v1/explain")
    async def explain_all() -> JSONResponse:
        return JSONResponse({"explanations": [samples.summary(each) for each in known]})

    @app.get("/v1/explain/{request_id}")
    async def explain(request_id: str) -> JSONResponse:
        for each in known:
            if each["id"] == request_id:
                return JSONResponse(each)
        raise ApiError(404, "no request of this id is remembered", code="request_not_found")

    @app.get("/v1/stats")
    async def stats() -> JSONResponse:
        nothing = {"schema": 1, "groups": [], "total": None, "learnt": []}
        return JSONResponse(nothing if is_empty else samples.stats())

    async def events() -> AsyncIterator[str]:
        held = {"models": [], "indexes": []} if is_empty else {}
        yield f"data: {json.dumps({'type': 'status', **samples.status(), **held})}\n\n"
        for number in range(10_000):
            await asyncio.sleep(every_s or 3600)
            new = {**samples.requests()[number % 9], "id": f"later-{number}", "time": time.time()}
            known.insert(0, new)
            yield f"data: {json.dumps({'type': 'explanation', **samples.summary(new)})}\n\n"

    @app.get("/v1/live")
    async def live() -> StreamingResponse:
        return StreamingResponse(events(), media_type="text/event-stream")

    return app


def main() -> None:
    """Serve until killed."""
    app = make_app(float(sys.argv[1]), is_empty="empty" in sys.argv[2:])
    checked = Observe(AccessCheck(app, Access("127.0.0.1", TOKEN)), HttpMetrics())
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    sys.stdout.write(f"http://127.0.0.1:{port}/dashboard/#token={TOKEN}\n")  # as of `fimble serve`
    sys.stdout.flush()
    config = uvicorn.Config(checked, log_level="warning", lifespan="off")
    asyncio.run(uvicorn.Server(config).serve([listening]))


if __name__ == "__main__":
    main()
