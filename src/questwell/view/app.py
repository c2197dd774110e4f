"""The web application: maps URLs to pages. `docs/view.md` lists all URLs.

Pages are rendered in worker threads, each with its own reader that is closed after the page, so that no long read keeps
SQLite from merging the run's write-ahead log.
"""

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from questwell.errors import ConfigError, QuestwellError, ReviewConflict, StoreError
from questwell.recipes.reports.runs import card, stamp
from questwell.view import evaluations, generated, trained
from questwell.view.access import Access, Gate
from questwell.view.page import Missing, Page, Shown
from questwell.view.site import STATIC, Site, templates

MOST_FORM = 200_000
"""Maximum size of a posted review in bytes."""
_TYPES = {"style.css": "text/css", "app.js": "text/javascript"}

Handler = Callable[[Site, Page], Shown]


@dataclass(frozen=True, slots=True)
class _Address:
    path: str
    handler: Handler


ADDRESSES = (
    _Address("/r/{run}/", generated.overview_page),
    _Address("/r/{run}/items", generated.items_page),
    _Address("/r/{run}/items/{item}", generated.item_page),
    _Address("/r/{run}/items/{item}/calls", generated.calls_page),
    _Address("/r/{run}/coverage", generated.coverage_page),
    _Address("/r/{run}/cost", generated.cost_page),
    _Address("/r/{run}/gates", generated.gates_page),
    _Address("/e/{run}/", evaluations.evaluation_page),
    _Address("/e/{run}/questions/{question:path}", evaluations.question_page),
    _Address("/compare", evaluations.compare_page),
    _Address("/t/{run}/", trained.training_page),
    _Address("/t/{run}/{step}", trained.attempts_page),
    _Address("/s/{run}/", trained.selfplay_page),
    _Address("/s/{run}/{step}", trained.step_page),
    _Address("/s/{run}/{step}/{slot}", trained.slot_page),
)


def make_app(site: Site, access: Access | None = None) -> Starlette:
    """Return the web application for the runs of `site`."""
    access = access or Access()
    pages = _Pages(site, access)
    routes = [
        Route("/", pages.get(_home), methods=["GET"]),
        *(Route(address.path, pages.get(address.handler), methods=["GET"]) for address in ADDRESSES),
        Route("/r/{run}/items/{item}/review", pages.post, methods=["POST"]),
        Route("/static/{name}", _static, methods=["GET"]),
    ]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        yield
        site.close()

    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: pages.missing})
    app.add_middleware(Gate, access=access)  # type: ignore[arg-type]  # an ASGI middleware with a signature of its own
    return app


def _home(site: Site, page: Page) -> Shown:
    site.look()
    return Shown("home.html", {"cards": [card(found) for found in site.runs.values()], "live": True})


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _TYPES:
        raise HTTPException(404)
    return FileResponse(STATIC / name, media_type=_TYPES[name], headers={"cache-control": "no-cache"})


class _Pages:
    """Turns page functions into endpoints."""

    def __init__(self, site: Site, access: Access) -> None:
        self._site = site
        self._access = access
        self._templates = templates()

    def get(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of a page; it answers 304 if the browser's copy is still current."""

        async def endpoint(request: Request) -> Response:
            page = Page(request.path_params, dict(request.query_params))
            return await run_in_threadpool(self._answer, handler, page, request)

        return endpoint

    def _answer(self, handler: Handler, page: Page, request: Request) -> Response:
        fragment = "x-fragment" in request.headers
        try:
            tag = self._tag(page, request)
            if tag is not None and request.headers.get("if-none-match") == tag:
                return Response(status_code=304, headers={"etag": tag})
            shown = handler(self._site, page)
        except ConfigError as error:
            return self._error(400, str(error))
        except (StoreError, Missing) as error:
            return self._error(404, str(error))
        except QuestwellError as error:
            return self._error(500, str(error))
        if shown.text is not None:
            return Response(shown.text, media_type="text/plain; charset=utf-8", headers=dict(shown.headers))
        html = self._render(shown, page, fragment=fragment)
        headers = {"cache-control": "no-cache", "vary": "x-fragment", **({"etag": tag} if tag else {})}
        return HTMLResponse(html, headers=headers)

    def _tag(self, page: Page, request: Request) -> str | None:
        """Return the version of the data that a page shows; None for pages over all runs."""
        name = page.path.get("run")
        if name is None:
            return None
        text = f"{stamp(self._site.run(name).folder)} {request.url} {'x-fragment' in request.headers}"
        return f'W/"{hashlib.sha256(f"{text} {self._access.page_token}".encode()).hexdigest()[:24]}"'

    def _render(self, shown: Shown, page: Page, *, fragment: bool = False) -> str:
        template = self._templates.get_template(shown.template)
        values: dict[str, Any] = {
            "site": self._site,
            "page_token": self._access.page_token,
            "static": False,
            "page": page,
            **shown.values,
        }
        values.setdefault("live", False)
        return template.render(values, layout="part.html" if fragment else "base.html")

    def _error(self, status: int, message: str, more: Mapping[str, object] | None = None) -> Response:
        shown = Shown("error.html", {"status": status, "message": message, "kept": more or {}})
        return HTMLResponse(self._render(shown, Page({}, {})), status_code=status)

    async def missing(self, request: Request, error: Exception) -> Response:
        """Return the page for an unknown URL."""
        assert isinstance(error, HTTPException)
        message = "there is no page at this address" if error.status_code == 404 else error.detail
        return self._error(error.status_code, message)

    async def post(self, request: Request) -> Response:
        """Store a review, then redirect to the item or the next one."""
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MOST_FORM:
                return self._error(413, f"a review has at most {MOST_FORM:,} bytes")
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        if not self._access.fits(form.get("token", "")):
            return self._error(403, "this page is older than the server: load it again", _kept(form))
        page = Page(request.path_params, dict(request.query_params))
        try:
            where = await run_in_threadpool(generated.post_review, self._site, page, form)
        except ReviewConflict as error:
            return self._error(409, str(error), _kept(form))
        except ConfigError as error:
            return self._error(400, str(error), _kept(form))
        except (StoreError, Missing) as error:
            return self._error(404, str(error), _kept(form))
        return RedirectResponse(where, status_code=303)


def _kept(form: Mapping[str, str]) -> dict[str, object]:
    """Return the visitor's input, which is shown again if the review is refused."""
    return {name: form[name] for name in ("question", "answer", "aliases", "note") if form.get(name)}
