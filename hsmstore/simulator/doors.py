"""HTTP to a simulator: what is sent, and what an answer means."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ssl import SSLContext
from time import gmtime, strftime  # noqa: TID251 - the date of a credential scope is the caller's own
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from hsmstore.domain.sigv4 import ALGORITHM, TERMINATOR, signature, signing_key

TIMEOUT: Final = 60.0
"""Seconds of silence after which the simulator counts as unreachable. Making a token takes one or two."""

ENDPOINT: Final = "http://127.0.0.1:4599"
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


class Credentials(NamedTuple):
    """What to sign with, for a simulator that verifies; a temporary credential has a session token."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        """Keep the secret to itself."""
        return f"Credentials({self.access_key_id!r})"


class Doors:
    """A simulator's two doors: KMS's own wire, and the management API.

    `account` and `region` are sent only when given; the server has its own. With `credentials` calls of KMS
    are signed. `token` opens the management API of a simulator that asks for it.
    `context` says whom to trust over HTTPS, and which certificate to show; without it, the system does.
    """

    def __init__(
        self,
        endpoint: str = ENDPOINT,
        *,
        account: str | None = None,
        region: str | None = None,
        credentials: Credentials | None = None,
        token: str | None = None,
        context: SSLContext | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        """Remember where the simulator is; nothing is sent yet.

        Raises:
            ValueError: `endpoint` is no http(s) URL.

        """
        try:
            url = urlsplit(endpoint)
            host, self._port = url.hostname, url.port
        except ValueError:
            host = None
        if host is None or url.scheme not in {"http", "https"}:
            raise ValueError(f"{endpoint!r} is not a URL such as {ENDPOINT}")
        self.endpoint = endpoint.rstrip("/")
        self.account = account
        self.region = region
        self._host = host
        self._credentials = credentials
        self._token = token
        self._netloc = url.netloc.rpartition("@")[2]
        self._timeout = timeout
        self._tls = url.scheme == "https"
        self._context = context
        self._prefix = url.path.rstrip("/")

    def kms(self, operation: str, **members: object) -> Answer:
        """Call a KMS operation; members that are None are left out."""
        body = json.dumps(_present(members))
        headers = {
            "Host": self._netloc,
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"TrentService.{operation}",
        }
        if self._credentials is None:
            headers |= self._authorization()
        else:
            headers |= self._signed(self._credentials, headers, body)
        return self._call("POST", "/", headers, body)

    def manage(self, method: str, *path: str, **members: object) -> Answer:
        """Call the management API at /_hsmstore/<path>; a GET sends its members as the query.

        Raises:
            ValueError: `path` is that of the metrics, which are no JSON.

        """
        if path == ("metrics",):
            raise ValueError("metrics are text: call metrics()")
        target = "/_hsmstore/" + "/".join(quote(part, safe="", errors="replace") for part in path)
        given = _present(members)
        headers = self._bearer()
        if method == "GET":
            return self._call(method, f"{target}?{urlencode(given)}" if given else target, headers, None)
        headers["Content-Type"] = "application/json"
        return self._call(method, target, headers, json.dumps(given))

    def metrics(self) -> str:
        """Return what Prometheus reads of the simulator."""
        status, content = self._sent("GET", "/_hsmstore/metrics", self._bearer(), None)
        if status >= CLIENT_ERRORS:
            self._understood(status, content)
        return content.decode()

    @property
    def scope(self) -> dict[str, str | None]:
        """What was given of account and Region, as members of the management API."""
        return {"AccountId": self.account, "Region": self.region}

    def _authorization(self) -> dict[str, str]:
        """Return a header whose credential scope says who calls; it is not a signature."""
        if self.account is None and self.region is None:
            return {}
        region = self._region_spoken_for()
        scope = f"{self.account or 'hsmstore'}/{strftime('%Y%m%d', gmtime())}/{region}/kms/aws4_request"
        return {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={'0' * 64}"
        }

    def _signed(self, credentials: Credentials, headers: Mapping[str, str], body: str) -> dict[str, str]:
        """Return the headers that sign a request to `/`, whose other headers are signed, too."""
        date = strftime("%Y%m%dT%H%M%SZ", gmtime())
        added = {"X-Amz-Date": date}
        if credentials.session_token is not None:
            added["X-Amz-Security-Token"] = credentials.session_token
        given = {name.lower().encode(): value.encode() for name, value in ({**headers, **added}).items()}
        names = sorted(given)
        day, region = date[:8].encode(), self._region_spoken_for().encode()
        scope = b"/".join((day, region, b"kms", TERMINATOR))
        key = signing_key(credentials.secret_access_key, day, region, b"kms")
        right = signature(key, scope, date.encode(), names, (b"POST", b"/", given, body.encode()))
        claim = f"{credentials.access_key_id}/{scope.decode()}, SignedHeaders={b';'.join(names).decode()}"
        return added | {
            "Authorization": f"{ALGORITHM.decode()} Credential={claim}, Signature={right.decode()}"
        }

    def _region_spoken_for(self) -> str:
        return self.region or self.member(self.manage("GET", "health"), "region", str)

    def _bearer(self) -> dict[str, str]:
        return {} if self._token is None else {"Authorization": f"Bearer {self._token}"}

    def _call(self, method: str, target: str, headers: Mapping[str, str], body: str | None) -> Answer:
        return self._understood(*self._sent(method, target, headers, body))

    def _sent(
        self, method: str, target: str, headers: Mapping[str, str], body: str | None
    ) -> tuple[int, bytes]:
        try:
            return self._send(method, target, headers, body)
        except (OSError, HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Unreachable(f"cannot reach the simulator at {self.endpoint} ({reason})") from error

    def _send(
        self, method: str, target: str, headers: Mapping[str, str], body: str | None
    ) -> tuple[int, bytes]:
        """Return status and body of the answer.

        Raises:
            OSError, HTTPException: there is none.

        """
        connection = self._connect()
        try:
            connection.request(method, self._prefix + target, body, dict(headers))
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _connect(self) -> HTTPConnection:
        if not self._tls:
            return HTTPConnection(self._host, self._port, timeout=self._timeout)
        return HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._context)

    def _understood(self, status: int, content: bytes) -> Answer:
        try:
            answer = json.loads(content) if content else {}  # as KMS answers EnableKey
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise self.stranger(f"HTTP {status}, but not with a JSON object")
        if status < CLIENT_ERRORS:
            return answer
        if "__type" not in answer:
            raise self.stranger(f"HTTP {status} and {json.dumps(answer)[:200]}")
        code = str(answer["__type"]).rpartition("#")[2]
        raise Refused(code, str(answer.get("message") or answer.get("Message") or ""))

    def stranger(self, what: str) -> Unreachable:
        """Return the error of an endpoint that answers, and not as a simulator."""
        return Unreachable(f"what answers at {self.endpoint} is not a simulator at work: it said {what}")

    def member(self, answer: Answer, name: str, kind: type[T]) -> T:
        """Return a member of an answer, which a simulator's has.

        Raises:
            Unreachable: this one has not.

        """
        value = answer.get(name)
        if not isinstance(value, kind):
            raise self.stranger(f"{json.dumps(answer)[:200]}, without {name}")
        return value


def _present(members: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in members.items() if value is not None}
