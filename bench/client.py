"""The AWS side: boto3, GenerateRandom to the letter as boto3 sends it, and a quick client for the rest."""

import http.client
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config

LENGTH: Final = 32  # bytes in each draw
_LEFT_TO_THE_SENDER: Final = {"Content-Length", "Host"}
_ONE_ATTEMPT: Final = Config(retries={"total_max_attempts": 1})


class Request(NamedTuple):
    """A signed POST, to be sent as it stands."""

    headers: Mapping[str, str]
    body: str


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def client(port: int) -> Any:
    """Return boto3's KMS client for a server on this machine."""
    return boto3.client(
        "kms",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="000000000000",
        aws_secret_access_key="secret",  # noqa: S106  # nobody checks it
        config=_ONE_ATTEMPT,
    )


def generate_random(port: int, key_store_id: str | None) -> Request:
    """Return the request of a draw from a key store, or of one from the system."""
    caught: list[Request] = []

    def catch(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        headers = {name: value for name, value in request.headers.items() if name not in _LEFT_TO_THE_SENDER}
        texts = {name: v.decode() if isinstance(v, bytes) else str(v) for name, v in headers.items()}
        caught.append(Request(texts, request.body.decode()))
        return AWSResponse(request.url, 200, {}, _Nothing())

    kms = client(port)
    kms.meta.events.register("before-send.kms", catch)
    kms.generate_random(**members(key_store_id))
    return caught[0]


def members(key_store_id: str | None) -> dict[str, Any]:
    """Return the parameters of the draw."""
    store = {} if key_store_id is None else {"CustomKeyStoreId": key_store_id}
    return {"NumberOfBytes": LENGTH, **store}


def send(port: int, request: Request) -> Answer:
    """Send it once on a connection of its own."""
    return exchange(port, "POST", "/", request.headers, request.body)


def manage(port: int, path: str, body: Mapping[str, Any]) -> Any:
    """Call hsmstore's management API."""
    answer = exchange(port, "POST", f"/_hsmstore{path}", {}, json.dumps(body))
    if answer.status != http.client.OK:
        raise RuntimeError(f"{path}: {answer.status} {answer.body!r}")
    return json.loads(answer.body)


def exchange(port: int, method: str, path: str, headers: Mapping[str, str], body: str) -> Answer:
    """Send one request and read its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())
    finally:
        connection.close()


class Caller:
    """Calls KMS over one connection, without boto3's time for each call. One that is refused fails."""

    def __init__(self, port: int) -> None:
        """Take the port on this machine."""
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def __call__(self, operation: str, **parameters: Any) -> Any:
        """Call an operation; return its answer."""
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"TrentService.{operation}"}
        self._connection.request("POST", "/", json.dumps(parameters), headers)
        response = self._connection.getresponse()
        body = response.read()
        if response.status != http.client.OK:
            raise RuntimeError(f"{operation}: {response.status} {body!r}")
        return json.loads(body)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class _Nothing:
    """The raw body of an answer that has none."""

    def stream(self) -> list[bytes]:
        return [b"{}"]
