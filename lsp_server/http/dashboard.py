"""``/dashboard/``: the files of the page that shows what fimble does.

They are the same for everybody and hold nothing of the user, so they need no token. All that the page
shows it fetches from the other routes, with the token that its address carries.
"""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from lsp_server.http.errors import ApiError

PATH = "/dashboard/"
FOLDER = Path(__file__).resolve().parent.parent / "dashboard" / "built"
_INDEX = "index.html"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".woff2": "font/woff2",
    ".ttf": "font/ttf",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
# Monaco sets the positions of its lines in style attributes; everything else is a file of ours.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "font-src 'self'; img-src 'self' data:; worker-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}
_NOT_BUILT = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>fimble</title>"
    "<h1>The dashboard is not built</h1><p>This copy of fimble lacks the page's files. In a checkout "
    "<code>make dashboard</code> makes them; it needs Node.js and npm.</html>"
)


def add_dashboard(app: FastAPI, folder: Path = FOLDER) -> None:
    """Add the page to ``app``: the files that lie in ``folder``, and nothing below or beside it."""

    @app.get(PATH.rstrip("/"), include_in_schema=False)
    async def correct_address() -> Response:
        return RedirectResponse(PATH)  # browsers keep the fragment, which holds the token

    @app.get(PATH + "{name}", include_in_schema=False)
    async def file(name: str) -> Response:
        return _answer(folder, name)

    @app.get(PATH, include_in_schema=False)
    async def index() -> Response:
        return _answer(folder, _INDEX)


def _answer(folder: Path, name: str) -> Response:
    kind = _KINDS.get(Path(name).suffix) if _NAME.fullmatch(name) else None
    is_there = kind is not None and (folder / name).is_file()
    if name == _INDEX and not is_there:
        return HTMLResponse(_NOT_BUILT, 503, _HEADERS)
    if not is_there:
        raise ApiError(404, "the dashboard has no such file", code="unknown_url")
    # The names of all others hold a digest of what is in them.
    lifetime = "no-cache" if name == _INDEX else "max-age=31536000, immutable"
    headers = {**_HEADERS, "Cache-Control": lifetime}
    return FileResponse(folder / name, media_type=kind, headers=headers)
