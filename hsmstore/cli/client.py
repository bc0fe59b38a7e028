"""The simulator as the command line reaches it: KMS over the AWS wire, clusters over the management API."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from hsmstore.cli.clock import today
from hsmstore.cli.views import HealthView
from hsmstore.settings import LOCAL_ENDPOINT, BadSetting

TIMEOUT: Final = 60.0
"""Seconds of silence after which the simulator counts as unreachable. Making a token takes one or two."""

CLIENT_ERRORS: Final = 400

Answer = dict[str, Any]
T = TypeVar("T")


class Refused(Exception):
    """The simulator answered with an AWS error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code


class Unreachable(Exception):
    """Nothing at the endpoint answers as the simulator does."""


class Simulator:
    """A running hsmstore. `account` and `region` are sent only when given; the server has its own.

    Every call raises Refused or Unreachable.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        account: str | None = None,
        region: str | None = None,
        named_by: str = "--endpoint",
    ) -> None:
        """Remember where the simulator is; nothing is sent yet.

        Raises:
            BadSetting: `endpoint`, which came from `named_by`, is no http(s) URL.

        """
        try:
            url = urlsplit(endpoint)
            address = (url.hostname, url.port)
        except ValueError:
            address = (None, None)
        if address[0] is None or url.scheme not in {"http", "https"}:
            raise BadSetting(f"{named_by}: {endpoint!r} is not a URL such as {LOCAL_ENDPOINT}")
        self.endpoint = endpoint.rstrip("/")
        self.account = account
        self.region = region
        self._host, self._port = address[0], address[1]
        self._connection = HTTPSConnection if url.scheme == "https" else HTTPConnection
        self._prefix = url.path.rstrip("/")

    def kms(self, operation: str, **members: object) -> Answer:
        """Call a KMS operation; members that are None are left out."""
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"TrentService.{operation}",
            **self._authorization(),
        }
        return self._call("POST", "/", headers, _present(members))

    def manage(self, method: str, *path: str, **members: object) -> Answer:
        """Call the management API at /_hsmstore/<path>; a GET sends its members as the query."""
        target = "/_hsmstore/" + "/".join(quote(part, safe="", errors="replace") for part in path)
        given = _present(members)
        if method == "GET":
            return self._call(method, f"{target}?{urlencode(given)}" if given else target, {}, None)
        return self._call(method, target, {"Content-Type": "application/json"}, given)

    @property
    def scope(self) -> dict[str, str | None]:
        """What was given of account and Region, as members of the management API."""
        return {"AccountId": self.account, "Region": self.region}

    def _authorization(self) -> dict[str, str]:
        """Return a header whose credential scope says who calls; it is not a signature."""
        if self.account is None and self.region is None:
            return {}
        region = self.region or self.read(self.manage("GET", "health"), HealthView).region
        scope = f"{self.account or 'hsmstore'}/{today()}/{region}/kms/aws4_request"
        return {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={'0' * 64}"
        }

    def _call(
        self, method: str, target: str, headers: Mapping[str, str], body: Mapping[str, object] | None
    ) -> Answer:
        connection = self._connection(self._host, self._port, timeout=TIMEOUT)
        try:
            encoded = None if body is None else json.dumps(body)
            connection.request(method, self._prefix + target, encoded, dict(headers))
            response = connection.getresponse()
            content = response.read()
        except (OSError, HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Unreachable(f"cannot reach the simulator at {self.endpoint} ({reason})") from error
        finally:
            connection.close()
        return self._understood(response.status, content)

    def _understood(self, status: int, content: bytes) -> Answer:
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise self._stranger(f"HTTP {status}, but not with a JSON object")
        if status < CLIENT_ERRORS:
            return answer
        if "__type" not in answer:
            raise self._stranger(f"HTTP {status} and {json.dumps(answer)[:200]}")
        code = str(answer["__type"]).rpartition("#")[2]
        raise Refused(code, str(answer.get("message") or answer.get("Message") or ""))

    def _stranger(self, what: str) -> Unreachable:
        return Unreachable(f"what answers at {self.endpoint} is not a simulator at work: it said {what}")

    def read(self, answer: object, shape: type[T]) -> T:
        """Return `answer` as a `shape`."""
        try:
            return msgspec.convert(answer, shape)
        except msgspec.ValidationError as error:
            raise self._stranger(str(error)) from error


def _present(members: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in members.items() if value is not None}
