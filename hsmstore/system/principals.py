"""The file of principals: read, watched, and written as a whole.

It is JSON:

    {"Principals": [{"Name": "alice", "Type": "user", "Account": "000000000000", "Tags": {"team": "red"},
      "AccessKeys": [{"AccessKeyId": "AKIA…", "SecretAccessKey": "…"}],
      "TemporaryCredentials": [{"AccessKeyId": "ASIA…", "SecretAccessKey": "…", "SessionToken": "…",
        "Expiration": "2027-01-01T00:00:00Z", "SessionName": "build"}],
      "Policies": [{"Version": "2012-10-17", "Statement": []}, "file/beside/this/one.json"]}]}

Name and Account are required. Each policy is a document, or the path of one, relative to the file.
"""

import fcntl
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.policy.document import Kind, parse
from hsmstore.domain.policy.patterns import Malformed
from hsmstore.domain.ports import Entropy
from hsmstore.domain.principal import Caller, Credential, Principal, PrincipalType
from hsmstore.system.secretfile import is_open_to_others

log = logging.getLogger(__name__)

Name = Annotated[str, Meta(pattern=r"^[\w+=,.@-]{1,64}\Z")]
Account = Annotated[str, Meta(pattern=r"^[0-9]{12}\Z")]
AccessKeyId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_]{16,128}\Z")]
SessionName = Annotated[str, Meta(pattern=r"^[\w+=,.@-]{2,64}\Z")]
Text = Annotated[str, Meta(min_length=1)]


class _Entry(msgspec.Struct, rename="pascal", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What all objects of the file have in common."""


class AccessKeyEntry(_Entry):
    """A long-term credential."""

    access_key_id: AccessKeyId
    secret_access_key: Text


class TemporaryEntry(AccessKeyEntry, kw_only=True):
    """A temporary credential."""

    session_token: Text
    expiration: Annotated[datetime, Meta(tz=True)]
    session_name: SessionName | None = None


class PrincipalEntry(_Entry, kw_only=True):
    """A principal with its credentials and its identity policies."""

    name: Name
    type: PrincipalType = PrincipalType.USER
    account: Account
    tags: dict[str, str] = {}
    access_keys: list[AccessKeyEntry] = []
    temporary_credentials: list[TemporaryEntry] = []
    policies: list[dict[str, Any] | str] = []


class PrincipalsDocument(_Entry):
    """The whole file."""

    principals: list[PrincipalEntry] = []


class FilePrincipals:
    """The credentials of a file, as it was when it was looked at last."""

    def __init__(self, path: Path | None, *others: Credential) -> None:
        """Read the file, if there is one; `others` are known beside those in it.

        Raises:
            EnvironmentUnfit: it cannot be read, or is no file of principals.

        """
        self._path = path
        self._looking = threading.Lock()
        self._others = {credential.access_key_id: credential for credential in others}
        self._stamps: dict[Path, tuple[int, ...] | None] = {}
        self.credentials: Mapping[str, Credential] = self._others if path is None else self._load(path)
        """By access key id; replaced, never changed."""
        if path is not None and is_open_to_others(path):
            log.warning("%s is open to other users, and holds secrets: chmod 600 %s", path, path)

    def look(self) -> None:
        """Read the file again if it has changed; one that is no good is logged, and the last one stands."""
        if self._path is not None:
            with self._looking:
                self._look(self._path)

    def _look(self, file: Path) -> None:
        before = self._stamps
        if all(_stamp(path) == stamp for path, stamp in before.items()):
            return
        try:
            self.credentials = self._load(file)
        except EnvironmentUnfit as error:
            self._stamps = {path: _stamp(path) for path in before | self._stamps}
            log.warning("the principals stay as they are: %s", error)
        else:
            log.info("the principals in %s were read again", file)

    def _load(self, path: Path) -> dict[str, Credential]:
        self._stamps = {
            path: _stamp(path)
        }  # before it is read: what changes meanwhile is seen at the next look
        credentials = dict(self._others)
        for entry in read_principals(path).principals:
            policies = tuple(self._policy(path, policy) for policy in entry.policies)
            for credential in _credentials_of(entry, policies):
                if credential.access_key_id in credentials:
                    raise _unfit(path, f"the access key {credential.access_key_id} is there twice")
                credentials[credential.access_key_id] = credential
        return credentials

    def _policy(self, file: Path, policy: dict[str, Any] | str) -> str:
        """Return an identity policy as text; the file that it is in is watched from now on."""
        if isinstance(policy, dict):
            return _checked(policy, file)
        path = file.parent / policy
        self._stamps[path] = _stamp(path)
        return _checked(read_policy(path), path)


def _credentials_of(entry: PrincipalEntry, policies: tuple[str, ...]) -> Iterator[Credential]:
    principal = Principal(
        name=entry.name, type=entry.type, account=entry.account, tags=entry.tags, policies=policies
    )
    for key in entry.access_keys:
        yield Credential(
            access_key_id=key.access_key_id,
            secret_access_key=key.secret_access_key,
            caller=Caller(access_key_id=key.access_key_id, principal=principal),
        )
    for lent in entry.temporary_credentials:
        session = lent.session_name or lent.access_key_id if entry.type is PrincipalType.ROLE else None
        yield Credential(
            access_key_id=lent.access_key_id,
            secret_access_key=lent.secret_access_key,
            caller=Caller(
                access_key_id=lent.access_key_id, principal=principal, session=session, temporary=True
            ),
            session_token=lent.session_token,
            expires=lent.expiration.timestamp(),
        )


def read_principals(path: Path) -> PrincipalsDocument:
    """Read a file of principals.

    Raises:
        EnvironmentUnfit: it cannot be read, or is no file of principals.

    """
    try:
        document = msgspec.json.decode(_read(path), type=PrincipalsDocument)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unfit(path, str(error)) from None  # whose context would show what it could not read
    named = [(entry.account, entry.type, entry.name) for entry in document.principals]
    for account, kind, name in named:
        if named.count((account, kind, name)) > 1:
            raise _unfit(path, f"the {kind} {name} of account {account} is there twice")
    return document


def read_policy(path: Path) -> dict[str, Any]:
    """Read an identity policy.

    Raises:
        EnvironmentUnfit: it cannot be read, or is no JSON object.

    """
    try:
        return msgspec.json.decode(_read(path), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EnvironmentUnfit(f"{path} is no policy: {error}", "write one JSON object into it") from None


def _checked(policy: dict[str, Any], path: Path) -> str:
    """Return an identity policy as text, if it is one."""
    text = msgspec.json.encode(policy).decode()
    try:
        parse(text, Kind.IDENTITY, path.name)
    except Malformed as error:
        raise EnvironmentUnfit(f"{path} holds a policy that is none: {error.reason}", "mend it") from error
    return text


@contextmanager
def changing(path: Path, entropy: Entropy) -> Iterator[PrincipalsDocument]:
    """Give the principals of a file, or of one to be; write at the end what has become of them.

    One process at a time changes files of a directory. The file is replaced as a whole, mode 0600.

    Raises:
        EnvironmentUnfit: it cannot be read or written, or is no file of principals.

    """
    path = path.resolve()  # where the name is a link, what it points to is the file
    try:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _beyond(path, error) from error
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        document = read_principals(path) if path.exists() else PrincipalsDocument()
        yield document
        _write(path, _formatted(document), entropy)
        os.fsync(directory)
    except OSError as error:
        raise _beyond(path, error) from error
    finally:
        os.close(directory)


def _formatted(document: PrincipalsDocument) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _write(path: Path, content: bytes, entropy: Entropy) -> None:
    draft = path.with_name(f".{path.name}.{entropy.random_bytes(8).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _beyond(path, error) from error


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Return what changes when the file does; None where it cannot be looked at."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _unfit(path: Path, why: str) -> EnvironmentUnfit:
    return EnvironmentUnfit(f"{path} is no file of principals: {why}", "docs/auth.md tells what stands in it")


def _beyond(path: Path, error: OSError) -> EnvironmentUnfit:
    return EnvironmentUnfit(
        f"{path} cannot be used: {error.strerror}",
        "`hsmstore principal add` makes a file of principals; name it with its path",
    )
