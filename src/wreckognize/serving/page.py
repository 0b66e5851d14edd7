"""The web page at ``/``: static files of this package, read once.

Knows files; knows nothing of models or photos. The page asks no other host for anything and runs no inline script or
style; the headers that every answer of the service has (`envelope`) make the browser hold it to that.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
INDEX = "index.html"


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of the page, as it is served."""

    content: bytes
    media_type: str
    etag: str


def read_page() -> dict[str, PageFile]:
    """The page's files by name, from the package."""
    found = {}
    for entry in sorted(files("wreckognize.serving").joinpath("page").iterdir(), key=lambda one: one.name):
        media_type = _TYPES.get(PurePosixPath(entry.name).suffix)
        if media_type is not None:
            content = entry.read_bytes()
            found[entry.name] = PageFile(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
    return found


def page_routes() -> list[BaseRoute]:
    """``/`` and ``/page/NAME``, for GET and HEAD.

    A browser asks again each time (``no-cache``) and is told with 304 that it has the newest: a page and a service of
    different versions would not understand each other.
    """
    page = read_page()

    async def index(request: Request) -> Response:
        return _answer(request, page[INDEX])

    def of(file: PageFile) -> Route:
        async def endpoint(request: Request) -> Response:
            return _answer(request, file)

        return Route(f"/page/{name}", endpoint, include_in_schema=False)

    routes: list[BaseRoute] = [Route("/", index, include_in_schema=False)]
    for name, file in page.items():
        if name != INDEX:
            routes.append(of(file))
    return routes


def _answer(request: Request, file: PageFile) -> Response:
    headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
    given = request.headers.get("if-none-match", "")
    if given == "*" or file.etag in (tag.strip().removeprefix("W/") for tag in given.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)
