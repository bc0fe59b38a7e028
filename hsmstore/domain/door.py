"""Who is turned away at the door, before anybody asks who calls.

Web pages can make a browser send requests to this machine. Two things give them away: the `Origin` that the
browser adds, and, where a page's own name was made to lead here (DNS rebinding), that name in `Host`.

- `Host` names this server if it is a literal address, `localhost` or below it, or a name that was allowed. An
  address cannot be rebound; who sends no Host is no browser.
- `Origin` must be the page's of this very server: the same host and port.
- The management API wants the token, but not of who is on this machine: by a loopback address, and with no
  proxy in between. `Sec-Fetch-Site` (Fetch Metadata) gives away those requests of pages that have no Origin.
"""

import hmac
import re
from collections.abc import Collection, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from hsmstore.domain.errors import AwsError, HostNotAllowedException, OriginNotAllowedException

COOKIE: Final = "hsmstore_token"
"""What a browser keeps the token in: HttpOnly, SameSite=Strict, of the path /_hsmstore."""

ANY: Final = "*"
HOST_PATTERN: Final = r"^(\*|\.?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?)\Z"
"""What may be allowed: a name, `.name` for all below it and itself, or `*` for every name."""

KNOWN_MAX: Final = 1024  # Host headers that are remembered; whoever sends more is looked at each time
HOST_MAX: Final = 262  # characters: a name of DNS, and a port
SHOWN_MAX: Final = 80  # characters of a header that a refusal repeats

_HOST: Final = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]{2,45})\]|(?P<name>[a-z0-9._-]{1,255}))(?::[0-9]{1,5})?")


class Door:
    """Turns away what a web page sends, and what comes by a name that is not this server's."""

    def __init__(self, allowed: Collection[str] = ()) -> None:
        """Take the names, of the form HOST_PATTERN, by which this server may be called."""
        self._allowed = {name.lower() for name in allowed}
        self._known: set[bytes] = set()

    def refusal(self, headers: Mapping[bytes, bytes]) -> AwsError | None:
        """Return why a request is turned away; `headers` are by lower-case name."""
        host = headers.get(b"host", b"")
        if host in self._known and b"origin" not in headers:
            return None
        if len(host) > HOST_MAX or not self._is_ours(host):
            name = _shown(host)
            return HostNotAllowedException(
                f"This server does not go by the name {name}; `hsmstore serve --allow-host NAME` lets it."
            )
        if b"origin" in headers and not _is_same_origin(headers[b"origin"], host):
            return OriginNotAllowedException(
                f"Pages of {_shown(headers[b'origin'])} may not call this server; only its own may."
            )
        if len(self._known) < KNOWN_MAX:
            self._known.add(host)
        return None

    def _is_ours(self, host: bytes) -> bool:
        if not host or ANY in self._allowed:
            return True
        name = name_of(host.decode("latin-1"))
        if name is None:
            return False
        above = name.split(".")
        below = {"." + ".".join(above[depth:]) for depth in range(len(above))}
        return is_loopback(name) or _address(name) is not None or not self._allowed.isdisjoint({name, *below})


class Knock(NamedTuple):
    """What a request for the management API shows of who sends it.

    `source` is the client's address, `host` the Host header, `site` the header Sec-Fetch-Site. `opens` tells
    that a browser opens a page with it, `relayed` that a proxy says to have passed it on.
    """

    source: str
    host: str
    bearer: str | None = None
    cookie: str | None = None
    site: str | None = None
    opens: bool = False
    relayed: bool = False


class Guard:
    """Lets into the management API who has the token, or who is on this machine."""

    def __init__(self, token: str, *, trusts_local: bool = True) -> None:
        """Take the token, and whether who is on this machine needs none."""
        self._token = token.encode()
        self._trusts_local = trusts_local

    def __repr__(self) -> str:
        """Keep the token to itself."""
        return f"Guard(trusts_local={self._trusts_local})"

    def is_token(self, offered: str) -> bool:
        """Tell whether this is the token; how long it takes does not depend on how much of it is right."""
        return hmac.compare_digest(self._token, offered.encode("utf-8", "surrogatepass"))

    def lets_in(self, knock: Knock) -> bool:
        """Tell whether a request may be served.

        A page of another site gets nothing, whatever the browser adds of itself to its requests; that a link
        on one is followed to here is no call of that page.
        """
        if knock.site not in {None, "same-origin", "none"} and not knock.opens:
            return False
        offered = (knock.bearer, knock.cookie)
        return any(self.is_token(token) for token in offered if token is not None) or self._is_local(knock)

    def _is_local(self, knock: Knock) -> bool:
        name = name_of(knock.host)
        from_here = is_loopback(knock.source) and name is not None and is_loopback(name)
        return self._trusts_local and from_here and not knock.relayed


def name_of(host: str) -> str | None:
    """Return the name or address in a Host header, in lower case and without its port; None: it has none."""
    found = _HOST.fullmatch(host.lower())
    return found and (found["v6"] or found["name"].removesuffix("."))


def is_loopback(name: str) -> bool:
    """Tell whether a name or an address is this machine's own, and nobody else's to give out (RFC 6761)."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(name)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address is not None and address.is_loopback


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None


def _is_same_origin(origin: bytes, host: bytes) -> bool:
    """Tell whether a page's origin is this server; behind what ends TLS its scheme is another."""
    scheme, _, authority = origin.lower().partition(b"://")
    return scheme in {b"http", b"https"} and authority == host.lower()


def _shown(header: bytes) -> str:
    return ascii(header[:SHOWN_MAX].decode("latin-1"))
