"""Who calls, by the mode of the server.

`off` takes account and Region from the credential scope where there is one (`Credential=<access key
id>/<date>/<region>/kms/aws4_request`); an access key id of twelve digits is the account, as other local
emulators have it. `identify` does so too, and knows whose an access key is that the principals have; the
account is then theirs. Both accept every request, signed or not. `verify` accepts what a principal has
signed, and nothing else.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Final, NamedTuple

from hsmstore.domain.identifiers import Scope
from hsmstore.domain.principal import (
    NOBODY,
    AuthMode,
    Caller,
    Credential,
    NoPrincipals,
    Principals,
)
from hsmstore.wire.http import Request
from hsmstore.wire.sigv4 import KMS, STS, Service, Verifier

_CREDENTIAL: Final = re.compile(
    rb"Credential=(?P<key_id>[^/,\s]+)/\d{8}/(?P<region>[a-z0-9-]{1,64})/(?P<service>[^/,\s]+)/aws4_request"
)
_ACCOUNT: Final = re.compile(r"[0-9]{12}")


class Identity(NamedTuple):
    """For which account and Region a request speaks, and who makes it."""

    scope: Scope
    caller: Caller


class _Known(NamedTuple):
    """Some principals, and what is kept of the requests that they make."""

    credentials: Mapping[str, Credential]
    read: Callable[[bytes], Identity | None]
    verifiers: Mapping[Service, Verifier]


class Identification:
    """Tells who makes a request."""

    def __init__(
        self,
        home: Scope,
        mode: AuthMode = AuthMode.IDENTIFY,
        principals: Principals | None = None,
        real_time: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Take the scope of requests that name none, whom to know, and what gives seconds since the epoch."""
        self._home = Identity(home, NOBODY)
        self._mode = mode
        self._principals = NoPrincipals() if principals is None else principals
        self._real_time = real_time
        self._known = self._all_known()
        # How the last header began, whom it was of, and of which principals: mostly the next begins so, too.
        self._last: tuple[bytes, Mapping[str, Credential], Identity] = b"", {}, self._home
        self.of: Callable[[Request], Identity] = self._signed if mode is AuthMode.VERIFY else self._said
        """Return who makes a request to KMS; `verify` raises what `Verifier.verify` does."""

    def look(self) -> None:
        """See whether somebody has just become known. It may wait."""
        self._principals.look()

    def of_query(self, request: Request) -> Identity:
        """Return who makes a request to STS. It may wait.

        Raises:
            AwsError: as `Verifier.verify` does.

        """
        self.look()
        return self._verified(STS, request) if self._mode is AuthMode.VERIFY else self._said(request)

    def vouch(self, request: Request) -> None:
        """Let a request to any service go on elsewhere; `verify`: if a principal has signed it. It may wait.

        Raises:
            AwsError: as `Verifier.verify` does.

        """
        if self._mode is not AuthMode.VERIFY:
            return
        self.look()
        said = _CREDENTIAL.search(request.headers.get(b"authorization", b""))
        name = KMS.name if said is None else said["service"]
        service = KMS if name == KMS.name else Service(name, STS.window)
        Verifier(service, self._principals.credentials, self._real_time).verify(request)

    def knows(self, request: Request) -> bool:
        """Tell whether the access key of a request is a principal's."""
        said = _CREDENTIAL.search(request.headers.get(b"authorization", b""))
        return said is not None and said["key_id"].decode("latin-1") in self._principals.credentials

    def _all_known(self) -> _Known:
        credentials = self._principals.credentials
        return _Known(
            credentials,
            # A client's header is the same but for date and signature; what is kept is bounded.
            lru_cache(maxsize=1024)(partial(self._read, credentials)),
            {service: Verifier(service, credentials, self._real_time) for service in (KMS, STS)},
        )

    def _current(self) -> _Known:
        """Return what is known now; what was kept of other principals is forgotten as a whole."""
        known = self._known
        if known.credentials is not self._principals.credentials:
            known = self._known = self._all_known()
        return known

    def _said(self, request: Request) -> Identity:
        """Return whom the request says that it is from."""
        authorization = request.headers.get(b"authorization")
        if authorization is None:
            return self._home
        beginning, credentials, identity = self._last
        if authorization.startswith(beginning) and credentials is self._principals.credentials:
            return identity
        known = self._known
        if known.credentials is not self._principals.credentials:
            known = self._current()
        # Where every SDK writes the credential; what follows differs from request to request.
        beginning = authorization.partition(b",")[0]
        kept = known.read(beginning)
        if kept is None:
            return self._read(known.credentials, authorization) or self._home
        self._last = beginning, known.credentials, kept
        return kept

    def _signed(self, request: Request) -> Identity:
        return self._verified(KMS, request)

    def _verified(self, service: Service, request: Request) -> Identity:
        credential, region = self._current().verifiers[service].verify(request)
        caller = credential.caller
        return Identity(Scope(caller.account or self._home.scope.account, region), caller)

    def _read(self, credentials: Mapping[str, Credential], authorization: bytes) -> Identity | None:
        said = _CREDENTIAL.search(authorization)
        if said is None:
            return None
        key_id, region = said["key_id"].decode("latin-1"), said["region"].decode("ascii")
        account = key_id if _ACCOUNT.fullmatch(key_id) else self._home.scope.account
        if self._mode is AuthMode.OFF:
            return Identity(Scope(account, region), NOBODY)
        credential = credentials.get(key_id)
        caller = Caller(access_key_id=key_id) if credential is None else credential.caller
        return Identity(Scope(caller.account or account, region), caller)
