"""The way to a cluster's token: its profile, its directory, its line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import pkcs11

from hsmstore.domain.cluster import TokenReference
from hsmstore.domain.ports import HsmTimedOut
from hsmstore.hsm.directory import ClusterDirectory
from hsmstore.hsm.line import Line
from hsmstore.hsm.profile import Profile


class Route(NamedTuple):
    """The way to a cluster's token."""

    token: TokenReference
    profile: Profile
    home: ClusterDirectory
    override: str | None
    line: Line

    def source(self) -> Path:
        """Return the module's path.

        A token of ours outlives the module that made it: on another machine the search begins anew.
        """
        if self.override is None and self.profile.creates_tokens and not Path(self.token.module).exists():
            return self.profile.locate()
        return self.profile.locate(self.override or self.token.module)


@contextmanager
def token_files(route: Route) -> Iterator[None]:
    """Lock the files of a token of ours, and mend them where a kill has left them broken."""
    if not route.profile.creates_tokens:
        yield
        return
    with route.home.locked_token():
        if route.home.token_object() is None:
            raise pkcs11.NoSuchToken(f"{route.home.path} holds no token")
        route.home.restore()
        route.home.write_configuration()
        yield


def still_wanted(lock: IO[bytes]) -> None:
    """Stop before C_Login in a call that came back after its deadline: somebody else may be logged in by now.

    Raises:
        HsmTimedOut: the caller has given up and released kmsuser.

    """
    if lock.closed:
        raise HsmTimedOut("given up before C_Login")
