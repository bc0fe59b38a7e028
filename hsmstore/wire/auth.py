"""Who calls, by the mode of the server.

`off` takes account and Region from the credential scope where there is one (`Credential=<access key
id>/<date>/<region>/kms/aws4_request`); an access key id of twelve digits is the account, as other local
emulators have it. `identify` does so too, and knows whose an access key is that the principals have; the
account is then theirs. Both accept every request, signed or not. `verify` accepts what a principal has
signed, and nothing else.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

from hsmstore.domain.identifiers import Scope
from hsmstore.domain.principal import NOBODY, AuthMode, Caller, NoPrincipals, Principals
from hsmstore.wire.http import Request
from hsmstore.wire.sigv4 import KMS, STS, Service, Verifier

_CREDENTIAL: Final = re.compile(
    rb"Credential=(?P<key_id>[^/,\s]+)/\d{8}/(?P<region>[a-z0-9-]{1,64})/[^/,\s]+/aws4_request"
)
_ACCOUNT: Final = re.compile(r"[0-9]{12}")


class Identity(NamedTuple):
    """For which account and Region a request speaks, and who makes it."""

    scope: Scope
    caller: Caller


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
        self._renew()
        self.of: Callable[[Request], Identity] = self._signed if mode is AuthMode.VERIFY else self._said
        """Return who makes a request to KMS; `verify` raises what `Verifier.verify` does."""

    def of_query(self, request: Request) -> Identity:
        """Return who makes a request to STS.

        Raises:
            AwsError: as `Verifier.verify` does.

        """
        return self._verified(STS, request) if self._mode is AuthMode.VERIFY else self._said(request)

    def knows(self, request: Request) -> bool:
        """Tell whether the access key of a request is a principal's."""
        said = _CREDENTIAL.search(request.headers.get(b"authorization", b""))
        return said is not None and said["key_id"].decode("latin-1") in self._principals.credentials

    def _renew(self) -> None:
        """Forget what was kept of the principals; there are others."""
        self._credentials = credentials = self._principals.credentials
        # A client's header is the same but for date and signature; what is kept is bounded.
        self._kept = lru_cache(maxsize=1024)(self._read)
        self._verifiers = {service: Verifier(service, credentials, self._real_time) for service in (KMS, STS)}

    def _said(self, request: Request) -> Identity:
        """Return whom the request says that it is from."""
        if self._principals.credentials is not self._credentials:
            self._renew()
        authorization = request.headers.get(b"authorization")
        if authorization is None:
            return self._home
        # Where every SDK writes the credential; what follows differs from request to request.
        return self._kept(authorization.partition(b",")[0]) or self._read(authorization) or self._home

    def _signed(self, request: Request) -> Identity:
        return self._verified(KMS, request)

    def _verified(self, service: Service, request: Request) -> Identity:
        if self._principals.credentials is not self._credentials:
            self._renew()
        credential, region = self._verifiers[service].verify(request)
        return Identity(
            Scope(credential.caller.account or self._home.scope.account, region), credential.caller
        )

    def _read(self, authorization: bytes) -> Identity | None:
        said = _CREDENTIAL.search(authorization)
        if said is None:
            return None
        key_id, region = (part.decode("latin-1") for part in said.groups())
        account = key_id if _ACCOUNT.fullmatch(key_id) else self._home.scope.account
        if self._mode is AuthMode.OFF:
            return Identity(Scope(account, region), NOBODY)
        credential = self._credentials.get(key_id)
        caller = Caller(access_key_id=key_id) if credential is None else credential.caller
        return Identity(Scope(caller.account or account, region), caller)
