"""``GET /v1/stats``: what became of suggestions, for pages and scripts."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from lsp_server.http.door import HttpDoor


class StatsResponse(BaseModel):
    """The object of ``fimble stats --json``."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    schema_: int = Field(alias="schema", description="1")
    groups: list[dict[str, Any]] = Field(description="Figures by day, language and model.")
    total: dict[str, Any] = Field(description="The same figures over everything.")
    learnt: list[str] = Field(description="What fimble made of it, in sentences.")


def add_stats(app: FastAPI, door: HttpDoor) -> None:
    """Add the route."""

    @app.get(
        "/v1/stats",
        summary="Count what was shown, accepted and kept",
        response_model=StatsResponse,
        tags=["server"],
    )
    async def stats() -> JSONResponse:
        """Figures of this machine's user, over every door; no text."""
        summary = await asyncio.to_thread(
            door.feedback.summary, door.settings.engine.min_confidence
        )
        return JSONResponse(summary.as_json())
