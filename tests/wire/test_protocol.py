"""awsJson1.1 over HTTP/1.1, as bytes: headers, bodies, status, and what a server must survive."""

import http.client
import json
import socket
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.server import Server, external_members, running
from tests.wire.raw import CONTENT_TYPE, HEADERS, TARGET, bodies, chunked, exchange, request, resident
from tests.wire.refusals import Refusal, code, read, refusal

MEGABYTE = 1024 * 1024
DRAW = b'{"NumberOfBytes":1}'

RECORDED = {
    "cache-control": "no-cache, no-store, must-revalidate, private",
    "content-type": CONTENT_TYPE,
    "expires": "0",
    "pragma": "no-cache",
}
VARYING = {"content-length", "date", "x-amzn-requestid"}


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers by lower-case name."""
    return {name.lower(): value for name, value in headers.items()}


@pytest.mark.aws_recorded
@pytest.mark.parametrize("body", [DRAW, b"{}"], ids=["success", "refusal"])
def test_headers(server: Server, body: bytes) -> None:
    """A success and a refusal carry the recorded headers, and no x-amzn-errortype."""
    headers = lower(server.call("GenerateRandom", body).headers)
    assert {name: headers[name] for name in RECORDED} == RECORDED
    assert headers.keys() - RECORDED.keys() == VARYING


@pytest.mark.aws_recorded
def test_error_body(server: Server) -> None:
    """A refusal is an object of the exception's bare name and its text, without spaces, with status 400."""
    answer = server.call("GenerateRandom", {})
    assert answer.status == 400
    assert answer.body == b'{"__type":"ValidationException","message":"NumberOfBytes is required."}'


@pytest.mark.aws_documented
def test_empty_output(server: Server) -> None:
    """An operation without output answers 200 and the object with no properties."""
    store = server.new_external_store("empty-output")
    answer = server.call("UpdateCustomKeyStore", {"CustomKeyStoreId": store})
    assert (answer.status, answer.body) == (200, b"{}")


TARGETS = [
    None,
    "",
    "TrentService.",
    "TrentService.Nonsense",
    "TrentService.generateRandom",
    "trentservice.GenerateRandom",
    "GenerateRandom",
    "KMS.GenerateRandom",
    "TrentService.GenerateRandom.X",
    "TrentService/GenerateRandom",
    "TrentService.__init__",
]


@pytest.mark.inferred(reason="Measured of Athena, on the same framework.")
@pytest.mark.parametrize("target", TARGETS)
def test_unknown_operation(server: Server, target: str | None) -> None:
    """A missing or unknown X-Amz-Target is an UnknownOperationException without a text."""
    headers = {"Content-Type": CONTENT_TYPE} | ({} if target is None else {"X-Amz-Target": target})
    answer = server.request("POST", "/", DRAW, headers)
    assert (answer.status, answer.body) == (400, b'{"__type":"UnknownOperationException"}')


@pytest.mark.inferred(
    reason="An operation that AWS has and this simulator lacks is not told from no operation."
)
@pytest.mark.parametrize("operation", ["Encapsulate", "Decapsulate", "GetKeyLastUsage"])
def test_operation_of_aws_that_is_not_served(server: Server, operation: str) -> None:
    """An operation of KMS that is not simulated is an UnknownOperationException."""
    assert server.call(operation, {}).body == b'{"__type":"UnknownOperationException"}'


@pytest.mark.inferred(
    reason="Measured of Athena for a missing Content-Type and for `application/x-amz-json-1.0`."
)
@pytest.mark.parametrize(
    "content_type", [None, "", "application/x-amz-json-1.0", "text/plain", "application/json"]
)
def test_wrong_content_type(server: Server, content_type: str | None) -> None:
    """A request that is not awsJson1.1 is answered 404 in XML."""
    headers = {"X-Amz-Target": TARGET} | ({} if content_type is None else {"Content-Type": content_type})
    answer = server.request("POST", "/", DRAW, headers)
    assert (answer.status, answer.body) == (404, b"<UnknownOperationException/>")
    assert lower(answer.headers)["content-type"] == "application/xml"


@pytest.mark.inferred(reason="RFC 9110: a media type has no case, and may have parameters.")
@pytest.mark.parametrize("content_type", [f"{CONTENT_TYPE}; charset=utf-8", CONTENT_TYPE.upper()])
def test_content_type_in_other_words(server: Server, content_type: str) -> None:
    """The content type may be written in capitals or with parameters."""
    answer = server.request("POST", "/", DRAW, HEADERS | {"Content-Type": content_type})
    assert answer.status == 200


@pytest.mark.inferred(reason="As with a wrong content type.")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_wrong_method(server: Server, method: str) -> None:
    """Any method but POST is answered 404."""
    assert server.request(method, "/", DRAW, HEADERS).status == 404


@pytest.mark.inferred(reason="As with a wrong content type.")
@pytest.mark.parametrize(
    "path", ["/x", "//", "/index.html", "/..", "/%2e", "/%ff", "*", "/x/_hsmstore/health"]
)
def test_wrong_path(server: Server, path: str) -> None:
    """Any path but the root is answered 404, whatever is in it."""
    assert server.request("POST", path, DRAW, HEADERS).status == 404


@pytest.mark.inferred(reason="Of awsJson1.1 only the target chooses.")
def test_query_is_ignored(server: Server) -> None:
    """A query string behind the path changes nothing."""
    assert server.request("POST", "/?Action=ListKeys", DRAW, HEADERS).status == 200


DEEP = 100_000
MALFORMED = {
    "empty": b"",
    "space": b" \r\n",
    "null": b"null",
    "string": b'"x"',
    "number": b"1",
    "true": b"true",
    "opened": b"{",
    "truncated": b'{"NumberOfBytes":1',
    "truncated in a string": b'{"NumberOfBytes',
    "two documents": DRAW * 2,
    "trailing NUL": DRAW + b"\0",
    "trailing comma": b'{"NumberOfBytes":1,}',
    "single quotes": b"{'NumberOfBytes':1}",
    "NaN": b'{"NumberOfBytes":NaN}',
    "leading zero": b'{"NumberOfBytes":01}',
    "control character": b'{"X":"\x01","NumberOfBytes":1}',
    "bad escape": b'{"X":"\\q","NumberOfBytes":1}',
    "lone surrogate": b'{"CustomKeyStoreId":"\\ud800","NumberOfBytes":1}',
    "byte order mark": b"\xef\xbb\xbf" + DRAW,
    "UTF-16": '{"NumberOfBytes":1}'.encode("utf-16"),
    "not UTF-8": b'{"CustomKeyStoreId":"\xff","NumberOfBytes":1}',
    "not UTF-8 in an unknown member": b'{"X":"\xff","NumberOfBytes":1}',
    "not UTF-8 in an unknown name": b'{"X\xff":1,"NumberOfBytes":1}',
    "surrogates in UTF-8": b'{"X":"\xed\xa0\x80","NumberOfBytes":1}',
    "binary": bytes(range(256)) * 16,
    "deep objects": b'{"X":' * DEEP + b"1" + b"}" * DEEP,
    "deep lists": b'{"X":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep in a known member": b'{"Recipient":' * (DEEP // 2) + b"{}" + b"}" * (DEEP // 2),
    "deep in an integer": b'{"NumberOfBytes":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "opened and never closed": b"{" * DEEP,
    "lists never closed": b"[" * DEEP,
}


@pytest.mark.inferred(reason="Measured of Athena for some of them.")
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_malformed_body(server: Server, body: bytes) -> None:
    """What is not one JSON object in UTF-8 is a SerializationException without a text."""
    answer = server.call("GenerateRandom", body)
    assert (answer.status, answer.body) == (400, b'{"__type":"SerializationException"}')


@pytest.mark.inferred(reason="Measured of Athena.")
@pytest.mark.parametrize("body", [b"[]", b'[{"NumberOfBytes":1}]'])
def test_list_as_body(server: Server, body: bytes) -> None:
    """A list where the request belongs is a SerializationException that says so."""
    assert read(server.call("GenerateRandom", body)) == Refusal(
        400, "SerializationException", "Start of list found where not expected"
    )


LARGE = 10 * MEGABYTE
TOO_LARGE = (
    b'{"__type":"RequestEntityTooLargeException","message":"The request body is larger than 1048576 bytes."}'
)
ROUNDS, GROWTH_MAX = 12, 96 * MEGABYTE


@pytest.mark.inferred(reason="AWS publishes no bound for KMS.")
@pytest.mark.parametrize("form", ["length", "chunked"])
def test_body_of_ten_megabytes(server: Server, form: str) -> None:
    """A body of more than 1 MiB is answered 413 once it is sent, in bounded memory, and the server lives."""
    document = b'{"NumberOfBytes":1,"X":"' + b"x" * LARGE + b'"}'
    pieces = [document[start : start + 65536] for start in range(0, len(document), 65536)]
    sent = [request(document, "Connection: close")] if form == "length" else list(chunked(pieces))
    before = resident(server)
    for _ in range(ROUNDS):
        received = exchange(server, *sent)
        assert received.startswith(b"HTTP/1.1 413 ")
        assert bodies(received) == [TOO_LARGE]
    assert resident(server) - before < GROWTH_MAX
    assert server.call("GenerateRandom", DRAW).status == 200


@pytest.mark.inferred(reason="AWS publishes no bound for KMS.")
@pytest.mark.parametrize(("size", "status"), [(MEGABYTE, 200), (MEGABYTE + 1, 413)])
def test_body_at_the_bound(server: Server, size: int, status: int) -> None:
    """A body of exactly 1 MiB is served, and one byte more is too large."""
    assert server.call("GenerateRandom", DRAW.ljust(size)).status == status


@pytest.mark.aws_documented
def test_chunked_body(server: Server) -> None:
    """A body that comes in chunks and does not say its length is served."""
    received = exchange(server, *chunked([DRAW[:5], DRAW[5:6], DRAW[6:]]))
    assert received.startswith(b"HTTP/1.1 200 ")


@pytest.mark.inferred(reason="RFC 9112 has the server answer 400 and close.")
@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        request(DRAW).replace(b"POST", b"NONSENSE"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64 + b"\r\n\r\n",
        request(DRAW).replace(b"Content-Length: 19", b"Content-Length: nineteen"),
        request(DRAW).replace(b"Content-Length: 19", b"Content-Length: -1"),
        request(DRAW, "Content-Length: 5"),
        request(DRAW, "Bad Header: x"),
    ],
    ids=[
        "nonsense",
        "unknown method",
        "TLS",
        "length in words",
        "negative length",
        "two lengths",
        "bad header",
    ],
)
def test_not_http(server: Server, sent: bytes) -> None:
    """What is not HTTP is answered 400, and the connection is closed."""
    assert exchange(server, sent).startswith(b"HTTP/1.1 400 ")


@pytest.mark.inferred(reason="A cut-off body is a malformed one.")
def test_client_goes_in_the_middle(server: Server) -> None:
    """Clients that go before their body is complete leave nothing behind, however many they are."""
    for _ in range(40):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(request(DRAW[:7], length=len(DRAW)))
    assert server.call("GenerateRandom", DRAW).status == 200


@pytest.mark.simulator_only(reason="AWS does not stop.")
def test_half_sent_requests_do_not_keep_it_alive(tmp_path: Path) -> None:
    """A server that is told to stop waits a few seconds for half-sent requests, and then ends in order."""
    with running(tmp_path / "data", "--profile", "instant") as server, ExitStack() as clients:
        for _ in range(8):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))
            client.sendall(request(DRAW[:7], length=len(DRAW)))
        assert server.stop() == 0
        server.start()
        assert server.call("GenerateRandom", DRAW).status == 200


@pytest.mark.aws_documented
def test_keep_alive(server: Server) -> None:
    """One connection serves many requests, refusals between them included."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    sockets = set()
    for number in range(50):
        body = b"{" if number % 5 == 4 else DRAW
        connection.request("POST", "/", body, HEADERS)
        sockets.add(id(connection.sock))
        response = connection.getresponse()
        assert response.status == (400 if body == b"{" else 200)
        response.read()
    assert len(sockets) == 1
    connection.close()


@pytest.mark.inferred(reason="RFC 9112 allows clients to pipeline.")
def test_pipelining(server: Server) -> None:
    """Requests sent without waiting are answered in their order."""
    numbers = range(1, 100)
    sent = [request(b'{"NumberOfBytes":%d}' % number) for number in numbers]
    received = exchange(server, b"".join(sent) + request(b"{}", "Connection: close"))
    *answers, last = bodies(received)
    assert [len(json.loads(answer)["Plaintext"]) for answer in answers] == [
        (number + 2) // 3 * 4 for number in numbers
    ]
    assert b"ValidationException" in last


@pytest.mark.aws_recorded
def test_request_ids(server: Server) -> None:
    """Every response has a UUID of its own, which botocore gives to its caller, in a refusal, too."""
    kms = server.kms()
    ids = {kms.generate_random(NumberOfBytes=1)["ResponseMetadata"]["RequestId"] for _ in range(20)}
    ids |= {lower(server.call("GenerateRandom", b"{").headers)["x-amzn-requestid"] for _ in range(20)}
    assert len(ids) == 40
    assert {uuid.UUID(request_id).version for request_id in ids} == {4}


@pytest.mark.aws_documented
@pytest.mark.parametrize(
    "elsewhere", [{"region": "eu-west-1"}, {"account": "111122223333"}], ids=["Region", "account"]
)
def test_scope_isolates(server: Server, elsewhere: dict[str, Any]) -> None:
    """A key store of one account and Region is unknown in another, by id, by name and in lists."""
    name = f"isolated-from-{next(iter(elsewhere))}"
    store = server.new_external_store(name)
    kms = server.kms(**elsewhere)
    unknown = "CustomKeyStoreNotFoundException"
    assert code(kms.describe_custom_key_stores, CustomKeyStoreId=store) == unknown
    assert code(kms.describe_custom_key_stores, CustomKeyStoreName=name) == unknown
    assert code(kms.connect_custom_key_store, CustomKeyStoreId=store) == unknown
    assert code(kms.disconnect_custom_key_store, CustomKeyStoreId=store) == unknown
    assert code(kms.update_custom_key_store, CustomKeyStoreId=store) == unknown
    assert code(kms.delete_custom_key_store, CustomKeyStoreId=store) == unknown
    assert code(kms.generate_random, NumberOfBytes=1, CustomKeyStoreId=store) == unknown
    twin = kms.create_custom_key_store(CustomKeyStoreName=name, **external_members(name))["CustomKeyStoreId"]
    assert twin != store
    assert [entry["CustomKeyStoreId"] for entry in kms.describe_custom_key_stores()["CustomKeyStores"]] == [
        twin
    ]


@pytest.mark.aws_documented
def test_scope_of_a_connected_store(server: Server) -> None:
    """A CONNECTED key store gives no byte to another account or Region."""
    store = server.new_store("isolated-while-connected")
    server.kms().connect_custom_key_store(CustomKeyStoreId=store)
    assert len(server.kms().generate_random(NumberOfBytes=9, CustomKeyStoreId=store)["Plaintext"]) == 9
    for elsewhere in (server.kms(region="eu-west-1"), server.kms(account="111122223333")):
        refused = refusal(elsewhere.generate_random, NumberOfBytes=9, CustomKeyStoreId=store)
        assert refused.code == "CustomKeyStoreNotFoundException"


AUTHORIZATIONS = [
    None,
    "",
    "Bearer x",
    "AWS4-HMAC-SHA256 Credential=",
    "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=0",
    "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/kms/aws4_request",
    "AWS4-HMAC-SHA256 Credential=" + "x" * 10_000,
]


@pytest.mark.simulator_only(reason="Signatures are not checked yet.")
@pytest.mark.parametrize("authorization", AUTHORIZATIONS, ids=range(len(AUTHORIZATIONS)))
def test_any_authorization_is_accepted(server: Server, authorization: str | None) -> None:
    """A request is served whether it is signed, unsigned or signed wrongly."""
    headers = HEADERS | ({} if authorization is None else {"Authorization": authorization})
    assert server.request("POST", "/", DRAW, headers).status == 200
