"""The client against endpoints that are not as they should be."""

import json
import re
import socket
import threading

import pytest

from hsmstore.cli.client import Refused, Simulator, Unreachable
from hsmstore.cli.views import StoreView
from hsmstore.settings import BadSetting
from tests.cli.endpoint import answering


@pytest.mark.parametrize("member", ["message", "Message"])
@pytest.mark.parametrize("status", [400, 404, 413, 500])
def test_aws_error(member: str, status: int) -> None:
    """An AWS error is a refusal with its code and text, whatever its status and its spelling of message."""
    with (
        answering(status, {"__type": "com.amazonaws.kms#SomeException", member: "No."}) as endpoint,
        pytest.raises(Refused) as refused,
    ):
        Simulator(endpoint.url).kms("DescribeCustomKeyStores")
    assert str(refused.value) == "SomeException: No."
    assert refused.value.code == "SomeException"


def test_aws_error_without_text() -> None:
    """Some AWS errors have no text; the code alone is shown."""
    with (
        answering(400, {"__type": "SomeException"}) as endpoint,
        pytest.raises(Refused, match=r"^SomeException$"),
    ):
        Simulator(endpoint.url).kms("DescribeCustomKeyStores")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html>", "HTTP 200, but not with a JSON object"),
        (200, b"[]", "HTTP 200, but not with a JSON object"),
        (200, b"[" * 100_000, "HTTP 200, but not with a JSON object"),
        (200, b"\xff\xfe", "HTTP 200, but not with a JSON object"),
        (404, b"not found", "HTTP 404, but not with a JSON object"),
        (404, b"", "HTTP 404 and {}"),
        (503, b'{"status": "starting"}', 'HTTP 503 and {"status": "starting"}'),
    ],
)
def test_stranger(status: int, body: bytes, said: str) -> None:
    """What does not answer like the simulator counts as not reached, and what it said is told."""
    with answering(status, body) as endpoint, pytest.raises(Unreachable) as unreachable:
        Simulator(endpoint.url).manage("GET", "health")
    expected = f"what answers at {endpoint.url} is not a simulator at work: it said {said}"
    assert str(unreachable.value) == expected


def test_answer_of_another_shape() -> None:
    """An answer without what it must have counts as a stranger's."""
    simulator = Simulator("http://127.0.0.1:1")
    with pytest.raises(Unreachable, match="missing required field `CustomKeyStoreId`"):
        simulator.read({}, StoreView)


def test_nobody_listens() -> None:
    """A refused connection names the URL and the reason."""
    with socket.socket() as bound:  # bound and not listening: nobody else can take the port
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(Unreachable) as unreachable:
            Simulator(url).kms("GenerateRandom")
    assert str(unreachable.value) == f"cannot reach the simulator at {url} (Connection refused)"


def test_answer_breaks_off() -> None:
    """A connection that ends in the middle of the answer counts as not reached."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):  # to close with bytes unread would reset the connection
                    pass

        thread = threading.Thread(target=hang_up)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(Unreachable, match="IncompleteRead"):
            Simulator(url).kms("GenerateRandom")
        thread.join()


@pytest.mark.parametrize(
    "endpoint",
    ["", "127.0.0.1:4599", "ftp://host", "http://", "http://host:port", "http://host:99999", "http://[::1"],
)
def test_endpoint_that_is_no_url(endpoint: str) -> None:
    """An endpoint must be a URL of HTTP."""
    with pytest.raises(BadSetting, match=r"^--endpoint: "):
        Simulator(endpoint)


def test_kms_request() -> None:
    """A KMS operation is awsJson1.1 without the members that are None, and unsigned."""
    with answering(200, {"Answer": 1}) as endpoint:
        assert Simulator(endpoint.url).kms("SomeOperation", Given=1, Absent=None) == {"Answer": 1}
    [(method, path, headers, body)] = endpoint.asked
    assert (method, path, json.loads(body)) == ("POST", "/", {"Given": 1})
    assert headers["X-Amz-Target"] == "TrentService.SomeOperation"
    assert headers["Content-Type"] == "application/x-amz-json-1.1"
    assert "Authorization" not in headers


@pytest.mark.parametrize(
    ("account", "region", "scope"),
    [
        ("123456789012", "eu-west-1", r"123456789012/\d{8}/eu-west-1"),
        (None, "eu-west-1", r"hsmstore/\d{8}/eu-west-1"),
        ("123456789012", None, r"123456789012/\d{8}/the-servers-1"),
    ],
)
def test_account_and_region_travel_in_the_scope(account: str | None, region: str | None, scope: str) -> None:
    """The credential scope carries what was given; a missing Region is the server's own."""
    with answering(200, {"status": "ok", "region": "the-servers-1"}) as endpoint:
        Simulator(endpoint.url, account=account, region=region).kms("SomeOperation")
    authorization = endpoint.asked[-1].headers["Authorization"]
    pattern = (
        rf"^AWS4-HMAC-SHA256 Credential={scope}/kms/aws4_request, SignedHeaders=host, Signature=0{{64}}$"
    )
    assert re.match(pattern, authorization)


def test_management_request() -> None:
    """The management API gets a GET's members as its query, others as JSON; path and prefix are kept."""
    with answering(200, {}) as endpoint:
        simulator = Simulator(f"{endpoint.url}/prefix/")
        simulator.manage("GET", "clusters", Region="a b", AccountId=None)
        simulator.manage("POST", "clusters", "x/../y", "kmsuser", Password="secret")
        simulator.manage("DELETE", "clusters", "x")
    asked = [(method, path, body) for method, path, _, body in endpoint.asked]
    assert asked == [
        ("GET", "/prefix/_hsmstore/clusters?Region=a+b", b""),
        ("POST", "/prefix/_hsmstore/clusters/x%2F..%2Fy/kmsuser", b'{"Password": "secret"}'),
        ("DELETE", "/prefix/_hsmstore/clusters/x", b"{}"),
    ]


def test_every_page_is_read() -> None:
    """Listing key stores follows the markers to the last page."""
    pages: list[dict[str, object]] = [
        {"CustomKeyStores": [{"n": 1}, {"n": 2}], "NextMarker": "next", "Truncated": True},
        {"CustomKeyStores": [{"n": 3}], "Truncated": False},
    ]
    with answering(200, *pages) as endpoint:
        assert Simulator(endpoint.url).key_stores() == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert [json.loads(asked.body) for asked in endpoint.asked] == [{}, {"Marker": "next"}]
