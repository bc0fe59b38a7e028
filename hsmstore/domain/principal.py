"""Who may call: principals, their credentials, and the caller of one request.

The ARNs and unique ids are of the forms of the IAM User Guide ("IAM identifiers"); what GetCallerIdentity
calls UserId follows its table "Principal key values" of policy variables.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

PREFIXES: Final = MappingProxyType({"user": "AIDA", "role": "AROA"})
ACCESS_KEY: Final = "AKIA"
TEMPORARY_ACCESS_KEY: Final = "ASIA"


class AuthMode(StrEnum):
    """What becomes of signatures: nothing at all, who calls is read off them, or they must be right."""

    OFF = "off"
    IDENTIFY = "identify"
    VERIFY = "verify"


class PrincipalType(StrEnum):
    """What a principal is in IAM."""

    USER = "user"
    ROLE = "role"
    ROOT = "root"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A user, a role, or the root user of an account. `policies` are identity policies, as JSON texts."""

    name: str
    type: PrincipalType
    account: str
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    policies: tuple[str, ...] = ()

    @property
    def arn(self) -> str:
        """Its ARN: of a role, the role's own and not that of a session."""
        if self.type is PrincipalType.ROOT:
            return f"arn:aws:iam::{self.account}:root"
        return f"arn:aws:iam::{self.account}:{self.type}/{self.name}"

    @property
    def id(self) -> str:
        """Its unique id, which follows from its ARN: 21 characters, of the root user the account."""
        if self.type is PrincipalType.ROOT:
            return self.account
        digest = hashlib.sha256(self.arn.encode()).digest()
        return PREFIXES[self.type] + base64.b32encode(digest).decode("ascii")[:17]


class Caller(NamedTuple):
    """Who makes a request, as far as it is known. `session` is the name of a role's session."""

    access_key_id: str | None = None
    principal: Principal | None = None
    session: str | None = None
    temporary: bool = False

    @property
    def account(self) -> str | None:
        """The account of the principal."""
        return None if self.principal is None else self.principal.account

    @property
    def arn(self) -> str | None:
        """The ARN that refusals and the trail name: of a role, that of its session."""
        if self.principal is None:
            return None
        if self.session is None:
            return self.principal.arn
        return f"arn:aws:sts::{self.principal.account}:assumed-role/{self.principal.name}/{self.session}"

    @property
    def user_id(self) -> str | None:
        """The unique id that GetCallerIdentity and the trail name."""
        if self.principal is None:
            return None
        return self.principal.id if self.session is None else f"{self.principal.id}:{self.session}"


NOBODY: Final = Caller()
"""Who calls without a credential, or is not to be known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What a caller signs with. Of a temporary one, `expires` is in seconds since the epoch, in real time."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    caller: Caller
    session_token: str | None = field(default=None, repr=False)
    expires: float | None = None


class Principals(Protocol):
    """Every credential that is known."""

    @property
    def credentials(self) -> Mapping[str, Credential]:
        """By access key id. It is another object after a change, and is never changed itself."""

    def look(self) -> None:
        """Find out what has changed. It may wait; safe to call from any thread."""


class NoPrincipals:
    """Nobody is known."""

    credentials: Mapping[str, Credential] = MappingProxyType({})

    def look(self) -> None:
        """Find nobody."""


def new_access_key_id(random_bytes: Callable[[int], bytes], *, temporary: bool = False) -> str:
    """Return an access key id in AWS's format: 20 characters, the last 16 of `[A-Z2-7]`."""
    prefix = TEMPORARY_ACCESS_KEY if temporary else ACCESS_KEY
    return prefix + base64.b32encode(random_bytes(10)).decode("ascii")


def new_secret_access_key(random_bytes: Callable[[int], bytes]) -> str:
    """Return a secret access key in AWS's format: 40 characters of base64."""
    return base64.b64encode(random_bytes(30)).decode("ascii")


def new_session_token(random_bytes: Callable[[int], bytes]) -> str:
    """Return a session token, which has no format that AWS promises."""
    return base64.b64encode(random_bytes(144)).decode("ascii")
