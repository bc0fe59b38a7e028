"""The door of a server that runs: web pages, names that lead here, and the token of the management API."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from hsmstore.bootstrap.door import management_token
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.settings import load
from hsmstore.simulator import Refused, Simulator
from hsmstore.trail.files import trail_files
from tests.server import Answer, Server, running
from tests.trail.reading import records
from tests.wire.raw import HEADERS

pytestmark = [pytest.mark.simulator_only, pytest.mark.sqlite]

DRAW = b'{"NumberOfBytes":1}'
EVIL = "http://evil.example"


def draw(server: Server, **headers: str) -> Answer:
    """Draw a byte, with further headers."""
    return server.request("POST", "/", DRAW, HEADERS | {k.replace("_", "-"): v for k, v in headers.items()})


def refused(answer: Answer) -> tuple[int, str]:
    """Return status and exception of a refusal."""
    return answer.status, json.loads(answer.body)["__type"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve where being on this machine is not enough, and by a name of its own."""
    data_dir = tmp_path_factory.mktemp("guarded") / "data"
    with running(data_dir, "--profile", "instant", "--no-trust-local", "--allow-host", "hsmstore") as server:
        yield server


def token_of(server: Server) -> str:
    """Return the token that the server has made."""
    return (server.data_dir / "management.token").read_text()


def test_a_page_of_another_site_cannot_call(server: Server) -> None:
    """What a browser sends for another site's page is refused, whatever it asks for."""
    assert refused(draw(server, Origin=EVIL)) == (403, "OriginNotAllowedException")
    assert refused(draw(server, Origin="null")) == (403, "OriginNotAllowedException")
    for method, path in (("POST", "/"), ("OPTIONS", "/"), ("GET", "/_hsmstore/clusters"), ("GET", "/x")):
        answer = server.request(method, path, None, {"Origin": EVIL})
        assert answer.status == 403
        assert not any(name.lower().startswith("access-control-") for name in answer.headers)
    form = {"Origin": EVIL, "Content-Type": "application/x-www-form-urlencoded"}
    assert server.request("POST", "/", b"Action=GetCallerIdentity&Version=2011-06-15", form).status == 403


def test_a_page_of_this_server_can(server: Server) -> None:
    """The console's own pages can call, under each of the server's names."""
    for host in (f"127.0.0.1:{server.port}", f"localhost:{server.port}", "[::1]"):
        assert draw(server, Host=host, Origin=f"http://{host}").status == 200


def test_a_name_that_was_made_to_lead_here(server: Server) -> None:
    """Another name in Host is refused on both sides of the server: so does DNS rebinding look."""
    host = f"evil.example:{server.port}"
    assert refused(draw(server, Host=host)) == (403, "HostNotAllowedException")
    assert refused(draw(server, Host=host, Origin=f"http://{host}")) == (403, "HostNotAllowedException")
    for path in ("/_hsmstore/clusters", "/_hsmstore/health"):
        assert server.request("GET", path, None, {"Host": host}).status == 403


def test_the_refusal_says_what_to_do(server: Server) -> None:
    """Who calls a container by its name reads in boto3's own error how to let it."""
    client = boto3.client(
        "kms",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}),
    )
    client.meta.events.register(
        "before-sign.kms", lambda request, **_: request.headers.add_header("Host", "hsmstore:4599")
    )
    with pytest.raises(ClientError, match="--allow-host") as refusal:
        client.generate_random(NumberOfBytes=1)
    assert refusal.value.response["Error"]["Code"] == "HostNotAllowedException"
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_name_that_is_allowed(guarded: Server) -> None:
    """A further name of the server is as good as localhost, and is an origin of its own."""
    assert draw(guarded, Host="hsmstore:4599").status == 200
    assert draw(guarded, Host="hsmstore:4599", Origin="http://hsmstore:4599").status == 200
    assert draw(guarded, Host="other:4599").status == 403


def test_refused_calls_are_recorded(tmp_path: Path) -> None:
    """The trail tells of calls that were turned away at the door."""
    with running(tmp_path / "data") as server:
        assert draw(server, Origin=EVIL).status == 403
    (path,) = trail_files(tmp_path / "data" / "trail")
    refusals = [one["errorCode"] for one in records(path.read_bytes()) if "errorCode" in one]
    assert refusals == ["OriginNotAllowedException"]


def test_the_token_is_made_on_the_first_start(guarded: Server) -> None:
    """It is the owner's alone to read, and the next start keeps it."""
    file = guarded.data_dir / "management.token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(token_of(guarded)) == 32


def test_the_token_opens_the_management_api(guarded: Server) -> None:
    """As a bearer's token or in the cookie; without it, 401 and how to give it."""
    token = token_of(guarded)
    answer = guarded.request("GET", "/_hsmstore/clusters")
    assert refused(answer) == (401, "CloudHsmAccessDeniedException")
    assert answer.headers["www-authenticate"] == "Bearer"
    for headers, status in (
        ({"Authorization": f"Bearer {token}"}, 200),
        ({"Authorization": f"bearer  {token} "}, 200),
        ({"Cookie": f"a=b; hsmstore_token={token}"}, 200),
        ({"Authorization": f"Basic {token}"}, 401),
        ({"Authorization": f"Bearer {token[:-1]}"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Cookie": "hsmstore_token="}, 401),
        ({"Cookie": f"hsmstore_token={token}", "Sec-Fetch-Site": "same-site"}, 401),
        ({"X-Forwarded-For": "127.0.0.1"}, 401),
    ):
        assert guarded.request("GET", "/_hsmstore/clusters", None, headers).status == status, headers


def test_what_is_open(guarded: Server) -> None:
    """Whether it serves is told to everybody, and nothing else is: not even that there is no such path."""
    assert guarded.request("GET", "/_hsmstore/health").status == 200
    for path in ("", "/", "/nothing", "/openapi.json", "/clusters/", "/health/../clusters", "/health%2f"):
        assert guarded.request("GET", f"/_hsmstore{path}").status == 401
    for method in ("PUT", "POST", "DELETE", "OPTIONS", "HEAD"):
        assert guarded.request(method, "/_hsmstore/clusters").status == 401


def test_a_browser_that_opens_a_page_is_asked_for_the_token(guarded: Server) -> None:
    """It is sent to the console's form; what runs on a page gets the refusal."""
    opening = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}
    answer = guarded.request("GET", "/_hsmstore/console", None, opening)
    assert (answer.status, answer.headers["location"]) == (303, "/_hsmstore/console/login")
    assert guarded.request("GET", "/_hsmstore/console").status == 401


def test_who_is_on_this_machine_needs_no_token(server: Server) -> None:
    """By a loopback address and with nothing in between: no page of another site, no proxy."""
    for headers, status in (
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Host": "localhost"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 401),
        ({"Sec-Fetch-Site": "same-site"}, 401),
        ({"Forwarded": "for=192.0.2.1"}, 401),
        ({"Host": "192.0.2.1"}, 401),
    ):
        assert server.request("GET", "/_hsmstore/clusters", None, headers).status == status, headers


def test_the_python_client_shows_the_token(guarded: Server) -> None:
    """`Simulator(token=…)` is let in, and signs or names its account as before."""
    assert Simulator(guarded.endpoint, token=token_of(guarded)).clusters() == []
    with pytest.raises(Refused, match="data directory"):
        Simulator(guarded.endpoint).clusters()
    with pytest.raises(Refused, match="CloudHsmAccessDenied"):
        Simulator(guarded.endpoint, token="wrong").clusters()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"short", "is shorter than"),
        (b"", "is shorter than"),
        (b"\xff" * 20, "is no text"),
        (None, "cannot be used"),
    ],
)
def test_a_token_that_is_none(tmp_path: Path, content: bytes | None, what: str) -> None:
    """A server does not start with a token that can be guessed, or with none."""
    file = tmp_path / "token"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    with pytest.raises(EnvironmentUnfit, match=what):
        management_token(load({"token_file": str(file)}, {}).settings)


def test_a_token_that_others_may_read(tmp_path: Path) -> None:
    """It is taken from the file that was named, and the log warns."""
    file = tmp_path / "token"
    file.write_text("0123456789abcdef\n")
    file.chmod(0o644)
    with running(tmp_path / "data", "--token-file", str(file)) as server:
        simulator = Simulator(server.endpoint, token="0123456789abcdef")
        assert simulator.clusters() == []
        assert "open to other users" in server.log
    assert not (tmp_path / "data" / "management.token").exists()
