"""The console's resources: pages, what they load, and what their forms do.

A page is HTML made here; its script asks for it again about once a second, with the ETag of what it shows,
and is answered 304 while nothing has changed. A form is a POST that sends the browser on to a page; where it
is refused, or has something to show, the page is the answer. Everything works without the script.
"""

import hashlib
import logging
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode, urlsplit

import falcon
import msgspec

from hsmstore import __version__
from hsmstore.console import rendering
from hsmstore.console.acting import Form, Kms, Notice, Notices, Visitor, act_on, form_of
from hsmstore.console.acts import ACTS, PREFIX, KmsAct
from hsmstore.console.pages import BELOW, HOME, View, gather, told_clock
from hsmstore.domain.door import COOKIE, Guard
from hsmstore.domain.errors import (
    AwsError,
    CloudHsmInternalFailureException,
    EnvironmentUnfit,
)
from hsmstore.service.world import World

if TYPE_CHECKING:
    from jinja2 import Environment

log = logging.getLogger(__name__)

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of every page: nothing from elsewhere, and no code or style in the page."""

_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

_Application = falcon.App[falcon.Request, falcon.Response]


def add_console(application: _Application, world: World, kms: Kms, guard: Guard) -> None:
    """Add the console's routes to an application that serves the management API, behind the same guard."""
    pages = _Pages(world)
    application.add_route(f"{BELOW}/login", _Login(guard, pages.templates))
    application.add_route(PREFIX, _Elsewhere())
    for path in (HOME, f"{BELOW}/{{page}}", f"{BELOW}/{{page}}/{{item}}"):
        application.add_route(path, pages)
    for act in ACTS.values():
        way = "kms" if isinstance(act, KmsAct) else "manage"
        application.add_route(f"{BELOW}/{way}/{act.name}", _Do(pages, world, kms, act.name))
    for name, body in rendering.assets().items():
        application.add_route(f"{BELOW}/static/{name}", _Asset(name, body))


class _Elsewhere:
    def on_get(self, _: falcon.Request, __: falcon.Response) -> None:
        raise falcon.HTTPPermanentRedirect(HOME)


class _Asset:
    """A file that pages load."""

    def __init__(self, name: str, body: bytes) -> None:
        self._body = body
        self._type = _TYPES[name.rpartition(".")[2]]
        self._etag = _digest(body)

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.set_headers({**_HEADERS, "Cache-Control": "no-cache", "ETag": f'"{self._etag}"'})
        response.content_type = self._type
        if request.get_header("If-None-Match") == f'"{self._etag}"':
            response.status = falcon.HTTP_304
        else:
            response.data = self._body


class _Login:
    """Where a browser that is not on this machine gives the token, and gets it as a cookie."""

    def __init__(self, guard: Guard, templates: "Environment") -> None:
        self._guard = guard
        self._templates = templates

    def on_get(self, _: falcon.Request, response: falcon.Response) -> None:
        """Ask for the token."""
        self._ask(response, wrong=False)

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Take the token."""
        try:
            form = form_of(request.bounded_stream.read())
        except AwsError:
            form = Form(HOME, "", {})
        token = form.fields.get("Token", "").strip()
        if not self._guard.is_token(token):
            response.status = falcon.HTTP_403
            self._ask(response, wrong=True)
            return
        response.set_headers(_HEADERS)
        response.set_cookie(
            COOKIE, token, path=PREFIX, http_only=True, same_site="Strict", secure=request.scheme == "https"
        )
        response.status = falcon.HTTP_303
        response.location = HOME

    def _ask(self, response: falcon.Response, *, wrong: bool) -> None:
        response.set_headers(_HEADERS)
        response.content_type = falcon.MEDIA_HTML
        response.text = rendering.render(self._templates, "login.html", {"wrong": wrong, "below": BELOW})


class _Pages:
    """The pages."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.templates = rendering.open_templates()
        self.notices = Notices(world)

    def on_get(self, request: falcon.Request, response: falcon.Response, **_: str) -> None:
        """Answer with a page, or that it has not changed."""
        query = {name: value for name, value in request.params.items() if isinstance(value, str)}
        notice = self.notices.find(query.pop("did", ""))
        self.answer(response, 200, request.path, query, notice, known=request.get_header("If-None-Match"))

    def answer(
        self,
        response: falcon.Response,
        status: int,
        path: str,
        query: dict[str, str],
        notice: Notice | None,
        *,
        known: str | None = None,
    ) -> None:
        """Answer with a page; one that cannot be shown says why not."""
        response.set_headers(_HEADERS)
        try:
            view = gather(self._world, path, query)
        except (AwsError, EnvironmentUnfit) as error:
            refusal = _refusal(error)
            status, notice = refusal.status, None
            view = View("refused.html", "Not here", "", {"text": refusal.message, "code": refusal.code})
        etag = self._etag(view)
        response.set_header("ETag", etag)
        if known == etag and notice is None:
            response.status = falcon.HTTP_304
            return
        page = quote(path) + (f"?{urlencode(query)}" if query else "")
        response.status = status
        response.content_type = falcon.MEDIA_HTML
        response.text = self._render(view, page, etag, notice)

    def _etag(self, view: View) -> str:
        world = self._world
        return f'"{_digest(msgspec.json.encode((view, world.clock.setting, world.terms.profile)))}"'

    def _render(self, view: View, page: str, etag: str, notice: Notice | None) -> str:
        world = self._world
        context: dict[str, Any] = {
            **view.data,
            "title": view.title,
            "here": view.here,
            "page": page,
            "etag": etag,
            "notice": notice,
            "clock": told_clock(world),
            "profile": world.terms.profile,
            "home": world.home,
            "version": __version__,
            "below": BELOW,
            "prefix": PREFIX,
        }
        return rendering.render(self.templates, view.template, context)


class _Do:
    """An act."""

    def __init__(self, pages: _Pages, world: World, kms: Kms, name: str) -> None:
        self._pages = pages
        self._world = world
        self._kms = kms
        self._name = name

    def on_get(self, _: falcon.Request, __: falcon.Response) -> None:
        """Send a browser home that was told to load the answer to a form again."""
        raise falcon.HTTPSeeOther(HOME)

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Do it."""
        try:
            form = form_of(request.bounded_stream.read())
        except AwsError as error:
            notice = Notice(error.message or error.code, error.code)
            self._pages.answer(response, error.status, HOME, {}, notice)
            return
        self._do(request, response, form)

    def _do(self, request: falcon.Request, response: falcon.Response, form: Form) -> None:
        agent = (request.user_agent or "").encode("latin-1", "replace")
        source = str(request.env.get("REMOTE_ADDR", ""))
        outcome = act_on(self._world, self._kms, self._name, form, Visitor(source, agent))
        if outcome.status == falcon.http_status_to_code(falcon.HTTP_303):
            response.set_headers(_HEADERS)
            name = self._pages.notices.keep(outcome.notice)
            joint = "&" if "?" in outcome.page else "?"
            raise falcon.HTTPSeeOther(f"{outcome.page}{joint}did={name}")
        url = urlsplit(outcome.page)
        query = dict(falcon.uri.parse_query_string(url.query)) if url.query else {}
        texts = {name: value for name, value in query.items() if isinstance(value, str)}
        self._pages.answer(response, outcome.status, falcon.uri.decode(url.path), texts, outcome.notice)


def _refusal(error: AwsError | EnvironmentUnfit) -> AwsError:
    """Return why a page cannot be shown, with 404 where there is nothing."""
    if isinstance(error, AwsError):
        return error
    log.warning("%s", error)
    return CloudHsmInternalFailureException(str(error))


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=12).hexdigest()
