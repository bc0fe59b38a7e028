"""Who is turned away at the door: hosts, origins, and the token of the management API."""

import re
from collections.abc import Sequence

import pytest

from hsmstore.domain.door import HOST_MAX, HOST_PATTERN, Door, Guard, Knock, is_loopback, name_of
from hsmstore.domain.errors import HostNotAllowedException, OriginNotAllowedException

TOKEN = "0123456789abcdef"
HERE = Knock(source="127.0.0.1", host="127.0.0.1:4599")

OURS = [
    "",
    "localhost",
    "LocalHost:4599",
    "localhost.:4599",
    "s3.localhost:4599",
    "127.0.0.1",
    "127.8.9.10:1",
    "[::1]:4599",
    "192.0.2.7:4599",
    "[2001:db8::1]",
    "0.0.0.0:4599",
]
NOT_OURS = [
    "evil.example",
    "evil.example:4599",
    "localhost.evil.example",
    "notlocalhost",
    "127.0.0.1.nip.io",
    "127.1",
    "2130706433",
    "0x7f000001",
    "256.0.0.1",
    "localhost,evil.example",
    "localhost evil.example",
    "localhost/evil.example",
    "evil.example@localhost",
    "localhost:4599:4599",
    "localhost:port",
    "localhost:123456",
    "[::1",
    "[evil.example]",
    "::1",
    "local\0host",
    "locälhost",
    "x" * HOST_MAX + ".localhost",
]


def turned_away(host: str, allowed: Sequence[str] = ()) -> bool:
    """Tell whether a request with this Host is turned away."""
    return isinstance(Door(allowed).refusal({b"host": host.encode("latin-1")}), HostNotAllowedException)


@pytest.mark.parametrize("host", OURS)
def test_host_that_is_ours(host: str) -> None:
    """Literal addresses and localhost name this server, with any port; who names no host is no browser."""
    assert not turned_away(host)


@pytest.mark.parametrize("host", NOT_OURS)
def test_host_that_is_not_ours(host: str) -> None:
    """Any other name is refused, and so is what is no name."""
    assert turned_away(host)


def test_no_host() -> None:
    """HTTP/1.0 has none."""
    assert Door().refusal({}) is None


@pytest.mark.parametrize(
    ("allowed", "host", "refused"),
    [
        ("hsmstore", "hsmstore:4599", False),
        ("hsmstore", "HSMSTORE", False),
        ("HSMstore", "hsmstore", False),
        ("hsmstore", "a.hsmstore", True),
        ("hsmstore", "xhsmstore", True),
        (".example.com", "example.com", False),
        (".example.com", "a.b.example.com:1", False),
        (".example.com", "badexample.com", True),
        (".example.com", "example.com.evil", True),
        ("*", "evil.example", False),
        ("*", "not a name", False),
    ],
)
def test_allowed_names(allowed: str, host: str, *, refused: bool) -> None:
    """A name that is allowed is ours; one with a dot before it is so with all below it."""
    assert re.match(HOST_PATTERN, allowed)
    assert turned_away(host, [allowed]) is refused


@pytest.mark.parametrize("name", ["", ".", "a/b", "http://a", "a:1", "*.a", "a b", "-a", "a-"])
def test_what_cannot_be_allowed(name: str) -> None:
    """What is no name is not taken for one."""
    assert re.match(HOST_PATTERN, name) is None


def test_remembered_hosts_are_few() -> None:
    """However many hosts are named, few are remembered, and all get the same answer as before."""
    door = Door(["hsmstore"])
    for number in range(5000):
        assert door.refusal({b"host": b"h%d.example" % number}) is not None
        assert door.refusal({b"host": b"10.0.%d.%d" % divmod(number, 256)}) is None
    assert door.refusal({b"host": b"hsmstore"}) is None


@pytest.mark.parametrize(
    ("origin", "refused"),
    [
        ("http://localhost:4599", False),
        ("https://localhost:4599", False),
        ("HTTP://LOCALHOST:4599", False),
        ("http://localhost:3000", True),
        ("http://localhost", True),
        ("http://127.0.0.1:4599", True),
        ("http://evil.example", True),
        ("http://localhost:4599.evil.example", True),
        ("http://localhost:4599/", True),
        ("http://localhost:4599,http://localhost:4599", True),
        ("file://localhost:4599", True),
        ("chrome-extension://localhost:4599", True),
        ("localhost:4599", True),
        ("null", True),
        ("", True),
        ("\xff" * 10_000, True),
    ],
)
@pytest.mark.parametrize("known", [False, True])
def test_origin(origin: str, *, refused: bool, known: bool) -> None:
    """A page may call the server that it came from, and no other, by whatever name has been let in before."""
    door, host = Door(), {b"host": b"localhost:4599"}
    if known:
        assert door.refusal(host) is None
    refusal = door.refusal({**host, b"origin": origin.encode("latin-1")})
    assert isinstance(refusal, OriginNotAllowedException) is refused


def test_refusals_are_short_and_plain() -> None:
    """A refusal repeats little of what it refuses, and nothing but ASCII."""
    for headers in ({b"host": b"\xff<" * 9999}, {b"host": b"a.localhost", b"origin": b"\n\xff<" * 9999}):
        refusal = Door().refusal(headers)
        assert refusal is not None
        assert len(str(refusal)) < 500
        assert str(refusal).isascii()
        assert str(refusal).isprintable()


@pytest.mark.parametrize(
    ("host", "name"),
    [("[::1]:1", "::1"), ("A.b.:80", "a.b"), ("a", "a"), ("a:b", None), ("", None), ("[x]", None)],
)
def test_name_of(host: str, name: str | None) -> None:
    """The name is what stands before the port."""
    assert name_of(host) == name


@pytest.mark.parametrize(
    ("name", "is_so"),
    [
        ("127.0.0.1", True),
        ("127.255.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("a.localhost", True),
        ("::ffff:192.0.2.1", False),
        ("0.0.0.0", False),  # noqa: S104 - looked at, not bound
        ("::", False),
        ("192.0.2.1", False),
        ("hsmstore", False),
        ("", False),
    ],
)
def test_loopback(name: str, *, is_so: bool) -> None:
    """What is nobody else's: the loopback addresses, and the names of RFC 6761."""
    assert is_loopback(name) is is_so


LET_IN = {
    "on this machine": HERE,
    "by IPv6": Knock(source="::1", host="[::1]:4599"),
    "by name": Knock(source="127.0.0.1", host="localhost"),
    "a page of this server": HERE._replace(site="same-origin"),
    "typed into a browser": HERE._replace(site="none"),
    "a link on another page": HERE._replace(site="cross-site", opens=True),
    "the token from afar": Knock(source="192.0.2.1", host="hsmstore", bearer=TOKEN),
    "the cookie from afar": Knock(source="192.0.2.1", host="hsmstore", cookie=TOKEN),
    "a right token beside a wrong one": Knock(source="192.0.2.1", host="x", bearer="no", cookie=TOKEN),
    "the token through a proxy": HERE._replace(relayed=True, bearer=TOKEN),
}
KEPT_OUT = {
    "from afar": HERE._replace(source="192.0.2.1"),
    "from nowhere": HERE._replace(source=""),
    "by another name": HERE._replace(host="hsmstore"),
    "by no name": HERE._replace(host=""),
    "by the address of all": HERE._replace(host="0.0.0.0:4599"),
    "through a proxy": HERE._replace(relayed=True),
    "another site": HERE._replace(site="cross-site"),
    "another port": HERE._replace(site="same-site"),
    "another site with the cookie": HERE._replace(site="cross-site", cookie=TOKEN),
    "a link that leads here from afar": HERE._replace(source="192.0.2.1", site="cross-site", opens=True),
    "an empty token": HERE._replace(source="192.0.2.1", bearer=""),
    "half a token": HERE._replace(source="192.0.2.1", bearer=TOKEN[:-1]),
    "more than a token": HERE._replace(source="192.0.2.1", bearer=TOKEN + "0"),
    "a token that is no text": HERE._replace(source="192.0.2.1", bearer="\udcff\xff"),
}


@pytest.mark.parametrize("knock", LET_IN.values(), ids=LET_IN)
def test_let_in(knock: Knock) -> None:
    """Who is on this machine is let in, and who has the token."""
    assert Guard(TOKEN).lets_in(knock)


@pytest.mark.parametrize("knock", KEPT_OUT.values(), ids=KEPT_OUT)
def test_kept_out(knock: Knock) -> None:
    """Everybody else is not, and no page of another site."""
    assert not Guard(TOKEN).lets_in(knock)


@pytest.mark.parametrize("knock", LET_IN.values(), ids=LET_IN)
def test_nobody_is_trusted_for_being_here(knock: Knock) -> None:
    """Where being on this machine is not enough, only the token is."""
    assert Guard(TOKEN, trusts_local=False).lets_in(knock) is (TOKEN in {knock.bearer, knock.cookie})


def test_the_guard_keeps_its_token_to_itself() -> None:
    """What is logged of it does not show the token."""
    assert TOKEN not in repr(Guard(TOKEN))
