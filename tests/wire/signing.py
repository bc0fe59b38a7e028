"""Requests as botocore signs them, to be altered: the clients' own code is the oracle."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from hsmstore.domain.errors import AwsError
from hsmstore.domain.principal import Caller, Credential, Principal, PrincipalType
from hsmstore.wire.http import Request
from hsmstore.wire.sigv4 import KMS, Service, Verified, Verifier

SECRET = "secret"
HOST = "127.0.0.1:4599"
ALICE = Principal(name="alice", type=PrincipalType.USER, account="111122223333")


def credential(
    key_id: str = "AKIAIOSFODNN7EXAMPLE",
    secret: str = SECRET,
    token: str | None = None,
    expires: float | None = None,
) -> Credential:
    """Return a credential of alice."""
    return Credential(
        access_key_id=key_id,
        secret_access_key=secret,
        caller=Caller(access_key_id=key_id, principal=ALICE),
        session_token=token,
        expires=expires,
    )


@dataclass(frozen=True)
class Draft:
    """A signed request in its parts, each of which can be replaced."""

    headers: Mapping[bytes, bytes]
    body: bytes
    key_id: str
    day: str
    region: str
    names: str
    signature: str
    service: str = "kms"
    terminator: str = "aws4_request"
    method: bytes = b"POST"
    target: bytes = b"/"
    known: Credential = field(default_factory=credential)
    between: str = ", "
    authorization: str | None = None

    @property
    def instant(self) -> float:
        """The time at which it was signed."""
        date = self.headers[b"x-amz-date"].decode()
        return datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()

    @property
    def request(self) -> Request:
        """The request as it comes over the wire."""
        credential = f"{self.key_id}/{self.day}/{self.region}/{self.service}/{self.terminator}"
        parts = (f"Credential={credential}", f"SignedHeaders={self.names}", f"Signature={self.signature}")
        authorization = self.authorization
        if authorization is None:
            authorization = f"AWS4-HMAC-SHA256 {self.between.join(parts)}"
        headers = {**self.headers, b"authorization": authorization.encode()}
        return Request(
            self.method, self.target, {name: value for name, value in headers.items() if value}, self.body
        )

    def having(self, **headers: bytes) -> "Draft":
        """Return it with other headers; what is empty is left out. `_` stands for `-`."""
        given = {name.replace("_", "-").encode(): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **given})


def signed(
    known: Credential | None = None,
    region: str = "us-east-1",
    body: bytes = b"{}",
    headers: Mapping[str, str] | None = None,
    service: Service = KMS,
) -> Draft:
    """Return a request that botocore has signed."""
    known = known or credential()
    name = service.name.decode()
    given = {"X-Amz-Target": "TrentService.GenerateRandom", "Content-Type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", f"http://{HOST}/", {**given, **(headers or {})}, body)
    secrets = Credentials(known.access_key_id, known.secret_access_key, known.session_token)
    SigV4Auth(secrets, name, region).add_auth(request)
    sent = {key.lower().encode(): value.strip().encode() for key, value in request.headers.items()}
    parts = dict(
        part.split("=", 1) for part in sent.pop(b"authorization").decode().split(" ", 1)[1].split(", ")
    )
    return Draft(
        headers={b"host": HOST.encode(), **sent},
        body=body,
        key_id=known.access_key_id,
        day=parts["Credential"].split("/")[1],
        region=region,
        names=parts["SignedHeaders"],
        signature=parts["Signature"],
        service=name,
        known=known,
    )


def verified(draft: Draft, later: float = 0.0, service: Service = KMS, at: float | None = None) -> Verified:
    """Verify a draft so many seconds after it was signed."""
    now = (draft.instant if at is None else at) + later
    return Verifier(service, {draft.known.access_key_id: draft.known}, lambda: now).verify(draft.request)


def refused(
    draft: Draft, later: float = 0.0, service: Service = KMS, at: float | None = None
) -> tuple[str, str | None]:
    """Return code and text of the refusal of a draft, which must not be accepted."""
    try:
        accepted = verified(draft, later, service, at)
    except AwsError as error:
        return error.code, error.message
    raise AssertionError(accepted)
