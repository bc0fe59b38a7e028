"""The guard before the management API and the console, for every path that is not open."""

from typing import Final

import falcon

from hsmstore.control.routes import PREFIX
from hsmstore.domain.door import COOKIE, Guard, Knock
from hsmstore.domain.errors import CloudHsmAccessDeniedException

OPEN: Final = frozenset({f"{PREFIX}/health", f"{PREFIX}/ready"})
"""What is told to everybody: whether calls are served, to what looks after processes and holds no secrets."""

OPEN_BELOW: Final = (f"{PREFIX}/console/login", f"{PREFIX}/console/static/")
"""What a browser needs before it has the token; nothing of the simulation is in it."""

LOGIN: Final = f"{PREFIX}/console/login"

_OF_PROXIES: Final = ("FORWARDED", "X-FORWARDED-FOR", "X-FORWARDED-HOST", "X-REAL-IP", "VIA")


class Guarded:
    """Falcon's middleware: what the guard does not let in meets no resource."""

    def __init__(self, guard: Guard) -> None:
        """Take the guard."""
        self._guard = guard

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Refuse, and send a browser that opens a page to where the token can be given.

        Raises:
            CloudHsmAccessDeniedException: the request has not the token, and needs it.

        """
        path = request.path
        if path in OPEN or path.startswith(OPEN_BELOW) or self._guard.lets_in(knock_of(request)):
            return
        if (path.startswith(f"{PREFIX}/console") or path.rstrip("/") == PREFIX) and _opens(request):
            raise falcon.HTTPSeeOther(LOGIN)
        response.set_header("WWW-Authenticate", "Bearer")
        raise CloudHsmAccessDeniedException(
            "This needs the token that the server keeps in management.token of its data directory, as"
            " `Authorization: Bearer TOKEN`; `hsmstore` takes it from HSMSTORE_TOKEN or --token-file."
        )


def knock_of(request: falcon.Request) -> Knock:
    """Return what a request shows of who sends it."""
    scheme, _, bearer = (request.auth or "").partition(" ")
    cookies = request.get_cookie_values(COOKIE)
    return Knock(
        source=request.remote_addr,
        host=request.get_header("HOST") or "",
        bearer=bearer.strip() if scheme.lower() == "bearer" else None,
        cookie=cookies[0] if cookies else None,
        site=request.get_header("SEC-FETCH-SITE"),
        opens=_opens(request),
        relayed=any(request.get_header(name) is not None for name in _OF_PROXIES),
    )


def _opens(request: falcon.Request) -> bool:
    """Tell whether a browser opens a page of its own with it, in no other page's frame."""
    return (
        request.method == "GET"
        and request.get_header("SEC-FETCH-MODE") == "navigate"
        and request.get_header("SEC-FETCH-DEST") == "document"
    )
