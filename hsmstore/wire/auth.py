"""Who calls.

Every request is accepted, signed or not. Account and Region come from the credential scope where there is one
(`Credential=<access key id>/<date>/<region>/kms/aws4_request`); an access key id of twelve digits is the
account, as other local emulators have it.
"""

import re
from functools import lru_cache
from typing import Final

from hsmstore.domain.identifiers import Scope

_CREDENTIAL: Final = re.compile(
    rb"Credential=(?P<key_id>[^/,\s]+)/\d{8}/(?P<region>[a-z0-9-]{1,64})/[^/,\s]+/aws4_request"
)
_ACCOUNT: Final = re.compile(r"[0-9]{12}")


class Identification:
    """Reads the scope of a request from its Authorization header."""

    def __init__(self, home: Scope) -> None:
        """Take the scope of requests that name none."""
        self._home = home
        # A client's header is the same but for date and signature; what is kept is bounded.
        self._scope_of = lru_cache(maxsize=1024)(self._scope)

    def scope(self, authorization: bytes | None) -> Scope:
        """Return the account and Region that the request speaks for."""
        if authorization is None:
            return self._home
        # Where every SDK writes the credential; what follows differs from request to request.
        return self._scope_of(authorization.partition(b",")[0]) or self._scope(authorization) or self._home

    def _scope(self, authorization: bytes) -> Scope | None:
        credential = _CREDENTIAL.search(authorization)
        if credential is None:
            return None
        key_id, region = (part.decode("latin-1") for part in credential.groups())
        return Scope(key_id if _ACCOUNT.fullmatch(key_id) else self._home.account, region)
