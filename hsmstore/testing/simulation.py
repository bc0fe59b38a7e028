"""A simulator in this process, and what a test does to it."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypedDict, Unpack

import msgspec

from hsmstore.bootstrap.embedded import Embedded, embedded
from hsmstore.domain.limits import REQUEST_BODY_MAX
from hsmstore.domain.profile import Profile
from hsmstore.settings import BadSetting
from hsmstore.simulator import Cluster, Controls
from hsmstore.wire.http import Request, Response, Work

ENDPOINT: Final = "http://hsmstore.invalid"
"""What stands for the simulator in a URL. Nothing is ever sent there, and could not arrive (RFC 2606)."""

HERE: Final = "127.0.0.1"  # the address of who calls

PASSWORD: Final = "kmsuser1password"  # noqa: S105  # of clusters that end with the test
STORE_NAME: Final = "key-store"

_MEMORY: Final = Path("/dev/shm")  # noqa: S108  # where it is, a directory costs no wait for a disk
_ROOM: Final = 64 * 1024 * 1024
"""Bytes that must be free there. A simulator takes one or two."""


class Options(TypedDict, total=False):
    """What a simulator can be told: settings of the server, as docs/cli.md has them."""

    profile: str
    account: str
    region: str
    key_store_quota: int
    quotas: str
    auth: str
    iam: str
    principals: str | Path
    attestation_root: "list[str | Path]"


@contextmanager
def simulator(**options: Unpack[Options]) -> Iterator["Simulation"]:
    """Run a simulator for as long as the context lasts; with the profile `instant`, unless told otherwise.

    Raises:
        BadSetting: there is no such option, or its value is not allowed.
        EnvironmentUnfit: the machine cannot run it as it stands, such as without SoftHSM2.

    """
    for name in options.keys() - Options.__annotations__.keys():
        raise BadSetting(f"there is no option {name!r}; the options are {', '.join(Options.__annotations__)}")
    with ExitStack() as stack:
        place = stack.enter_context(TemporaryDirectory(prefix="hsmstore-", dir=_place()))
        parts = stack.enter_context(embedded(Path(place), {"profile": Profile.INSTANT, **options}))
        yield Simulation(parts, Path(place), stack)


class Simulation(Controls):
    """A simulator in this process. Every method goes the way of a request over HTTP, but for the socket.

    `clock` and `faults` are its clock and fault plan; `kms` and `manage` are for whatever has no method.
    """

    def __init__(self, parts: Embedded, directory: Path, until: ExitStack) -> None:
        """Take a simulator, the directory of its registry and tokens, and what closes with it."""
        super().__init__(ENDPOINT)
        self.directory: Final = directory
        self._world, self._application, self._served = parts
        self._until = until
        self._has_ended = False
        until.callback(self._end)
        self._making = threading.RLock()

    @property
    def cluster(self) -> Cluster:
        """The cluster behind `store`, made when it is first asked for."""
        with self._making:
            return self._cluster

    @property
    def store(self) -> str:
        """The id of a key store on `cluster`, made and connected when it is first asked for."""
        with self._making:
            return self._store

    @property
    def url(self) -> str:
        """The URL of this simulator for any SDK, served from threads of its own once it is asked for."""
        with self._making:
            return self._url

    def another_cluster(self, cluster_id: str) -> Cluster:
        """Return a handle on the cluster of this id."""
        return Cluster(self, cluster_id)

    def client(self, **options: Any) -> Any:
        """Return a boto3 client of KMS that is wired to this simulator. It has keys, and never retries.

        `options` are those of `boto3.client`, such as `region_name`, `aws_access_key_id` (twelve digits are
        the account) or `config`.

        Raises:
            ModuleNotFoundError: boto3 is not installed.

        """
        clients = _clients()
        return clients.client(clients.Wire(self.answer, self._world.clock), self._world.home.region, options)

    def attach(self, client_or_session: Any) -> None:
        """Wire a client, or every client that a session will make, to this simulator.

        It may be of boto3, botocore or aiobotocore. What is not KMS or STS goes where it would have gone.
        """
        clients = _clients()
        clients.attach(clients.Wire(self.answer, self._world.clock), client_or_session)

    def as_default(self) -> AbstractContextManager[None]:
        """Let every `boto3.client("kms")` in the context reach this simulator, wherever it is called.

        So do the clients of every session of boto3, botocore or aiobotocore that is made in the context, and
        stay with this simulator. A client or a session that has been made before is wired by `attach`.
        """
        clients = _clients()
        wire = clients.Wire(self.answer, self._world.clock)
        session: AbstractContextManager[None] = clients.as_default(wire, self._world.home.region)
        return session

    def answer(self, request: Request) -> Response | None:
        """Serve one request, in the thread that asks; None is a connection closed without an answer.

        Raises:
            RuntimeError: the simulator has ended.

        """
        if self._has_ended:
            raise RuntimeError(
                "this simulator has ended with its test; make the client in the test that uses it"
            )
        if request.body is not None and len(request.body) > REQUEST_BODY_MAX:
            request = msgspec.structs.replace(request, body=None)
        begun = self._application.begin(request)
        return begun.run() if isinstance(begun, Work) else begun

    def _send(
        self, method: str, target: str, headers: Mapping[str, str], body: str | None
    ) -> tuple[int, bytes]:
        lines = {name.lower().encode(): value.encode("latin-1") for name, value in headers.items()}
        lines |= {b"host": b"localhost"}
        request = Request(method.encode(), target.encode(), lines, (body or "").encode(), source=HERE)
        response = self.answer(request)
        if response is None:
            raise ConnectionResetError("the connection was closed without an answer")
        return response.status, response.body

    def _end(self) -> None:
        self._has_ended = True

    @cached_property
    def _cluster(self) -> Cluster:
        return self.create_cluster(kmsuser_password=PASSWORD)

    @cached_property
    def _store(self) -> str:
        """Make and connect it, at once: the profile counts for what the test does."""
        store = self.create_key_store(STORE_NAME, self._cluster, password=PASSWORD)
        terms = self._world.terms
        before, terms.profile = terms.profile, Profile.INSTANT
        try:
            self.connect(store)
        finally:
            terms.profile = before
        return store

    @cached_property
    def _url(self) -> str:
        from hsmstore.testing.endpoint import served  # noqa: PLC0415  # only who asks for it needs sockets

        world = self._world
        return self._until.enter_context(served(self._served, world.clock.real, world.faults.end))


def _clients() -> Any:
    """Return the module that knows boto3.

    Raises:
        ModuleNotFoundError: it is not installed.

    """
    try:
        from hsmstore.testing import clients  # noqa: PLC0415  # boto3 is not needed for anything else
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in {"boto3", "botocore"}:
            raise
        text = "boto3 is not installed: pip install 'hsmstore[testing]'"
        raise ModuleNotFoundError(text, name=error.name) from None
    return clients


def _place() -> Path | None:
    """Return where temporary directories cost least; None is Python's own choice.

    In memory there may be little room, or no leave to load a module, as in containers.
    """
    try:
        status = os.statvfs(_MEMORY)
    except OSError:
        return None
    fits = status.f_bavail * status.f_frsize >= _ROOM and not status.f_flag & (os.ST_NOEXEC | os.ST_RDONLY)
    return _MEMORY if fits and os.access(_MEMORY, os.W_OK | os.X_OK) else None
