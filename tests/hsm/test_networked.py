"""A real networked module: p11-kit's client, with a p11-kit server that is stopped and killed."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pkcs11
import pytest

from hsmstore.domain.cluster import Cluster
from hsmstore.domain.mechanisms import AES_GCM, AES_KEY_GEN, lacking_for_keys
from hsmstore.domain.ports import ConnectFailed, ConnectionClosed, HsmConnection, HsmTimedOut, HsmUnavailable
from hsmstore.hsm.deadline import Worker
from hsmstore.hsm.line import Line
from hsmstore.hsm.module import lent_module
from hsmstore.hsm.pkcs11_hsm import Pkcs11Hsm
from hsmstore.hsm.profile import load_profile
from hsmstore.system.clock import monotonic
from tests.hanging import hang, members
from tests.hsm.conftest import (
    CLUSTER_ID,
    OTHER_CLUSTER_ID,
    PASSWORD,
    SO_PIN,
    Bench,
    cluster_of,
    pause,
)

Result = TypeVar("Result")

DEADLINE = 0.5  # seconds; a loaded machine answers in less


@dataclass
class Server:
    """A p11-kit server that can be taken away."""

    socket: Path
    configuration: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        self.socket.unlink(missing_ok=True)
        module = "/usr/lib/softhsm/libsofthsm2.so"
        self.process = subprocess.Popen(
            [
                "/usr/bin/p11-kit",
                "server",
                "--foreground",
                "--name",
                self.socket,
                "--provider",
                module,
                "pkcs11:",
            ],
            env={"SOFTHSM2_CONF": str(self.configuration), "PATH": "/usr/bin"},
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # so that a signal reaches the connections' processes too
        )
        while not self._listens():
            pause(0.01)

    def hang(self) -> None:
        """Let the server and each connection's process answer nobody until `go_on`."""
        assert self.process is not None
        hang(*members(self.process.pid))

    def go_on(self) -> None:
        """End what `hang` began."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill it; idempotent."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.socket)) == 0


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give one address for all tests: a copy of the module reads it once, and copies are lent again."""
    path = tmp_path_factory.mktemp("p11-kit") / "socket"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("P11_KIT_SERVER_ADDRESS", f"unix:path={path}")
        yield path


@pytest.fixture
def server(address: Path, bench: Bench) -> Iterator[Server]:
    """Give a running server over a SoftHSM2 token."""
    server = Server(address, bench.home(bench.create()) / "softhsm2.conf")
    server.start()
    yield server
    server.kill()


@dataclass
class Remote:
    """An Hsm over the network, and its cluster."""

    hsm: Pkcs11Hsm
    cluster: Cluster

    def connect(self) -> HsmConnection:
        """Connect."""
        return self.hsm.connect(self.cluster, PASSWORD)


@pytest.fixture
def remote(server: Server, tmp_path: Path) -> Remote:
    """Give an Hsm that has adopted the server's token."""
    assert server.process is not None
    hsm = Pkcs11Hsm(tmp_path / "remote", monotonic, deadline=DEADLINE)
    return Remote(hsm, cluster_of(hsm.adopt_token(CLUSTER_ID, profile="p11-kit"), OTHER_CLUSTER_ID))


def eventually(attempt: Callable[[], Result]) -> Result:
    """Return what `attempt` returns once the server has caught up with what piled up while it was stopped."""
    for _ in range(50):
        with suppress(HsmTimedOut, ConnectFailed):
            return attempt()
        pause(0.1)
    return attempt()


def test_a_remote_token(remote: Remote) -> None:
    """A token on the network draws, changes and resets its password, and closes."""
    connection = remote.connect()
    assert len(connection.draw(1024)) == 1024
    connection.set_password(PASSWORD, "anotherPswd456")
    connection.close()
    connection.close()
    with pytest.raises(ConnectionClosed):
        connection.draw(8)
    with pytest.raises(ConnectFailed, match="INVALID_CREDENTIALS"):
        remote.connect()
    remote.hsm.reset_password(remote.cluster, SO_PIN, PASSWORD)
    remote.connect().close()


def test_what_cannot_be_passed_on(remote: Remote, tmp_path: Path) -> None:
    """The module names AES-GCM among its mechanisms if, and only if, its protocol can carry it."""
    connection = remote.connect()
    mechanisms = connection.mechanisms
    connection.close()
    assert AES_KEY_GEN in mechanisms
    profile = load_profile("p11-kit")
    with lent_module(profile, profile.locate(), tmp_path / "modules") as module:
        module.initialize({})
        session = module.find_token(CLUSTER_ID).open(rw=True, user_pin=PASSWORD)
        key = session.generate_key(pkcs11.KeyType.AES, 256, store=False)
        carried = True
        try:
            key.encrypt(  # type: ignore[attr-defined]  # the stub does not know what a key can do
                b"text", mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=pkcs11.GCMParams(b"n" * 12)
            )
        except pkcs11.MechanismInvalid:
            carried = False
    assert (AES_GCM in mechanisms) is carried
    assert (lacking_for_keys(mechanisms) is None) is carried


def test_a_hung_server(server: Server, remote: Remote) -> None:
    """A draw that is not answered times out, its connection is cut; a new one works when the server does."""
    connection = remote.connect()
    server.hang()
    with pytest.raises(HsmTimedOut, match="no answer"):
        connection.draw(8)
    with pytest.raises(HsmUnavailable, match="was cut"):
        connection.draw(8)
    connection.close()
    with pytest.raises(ConnectFailed, match="NETWORK_ERRORS"):
        remote.connect()
    with pytest.raises(ConnectFailed, match="in the last attempt"):
        remote.connect()
    server.go_on()
    fresh = eventually(remote.connect)
    assert fresh.draw(8)
    fresh.close()


def test_a_near_server_hangs(server: Server, remote: Remote) -> None:
    """Who must not wait may draw from an HSM that is near; one that hangs holds them up once."""
    connection = remote.connect()
    assert connection.draw_promptly(8) is None  # nobody knows yet
    assert eventually(lambda: _promptly(connection))
    server.hang()
    with pytest.raises(HsmTimedOut):
        connection.draw_promptly(8)
    assert connection.draw_promptly(8) is None
    with pytest.raises(HsmUnavailable, match="was cut"):
        connection.draw(8)
    connection.close()
    server.go_on()
    eventually(remote.connect).close()


def _promptly(connection: HsmConnection) -> bytes:
    octets = connection.draw(8) and connection.draw_promptly(8)
    if octets is None:
        raise HsmTimedOut("not near yet")
    return octets


def test_many_draws_of_a_hung_server(server: Server, remote: Remote) -> None:
    """All who wait for one connection are told, and all threads and copies of the module come back."""
    for _ in range(2):
        connection = eventually(remote.connect)
        server.hang()
        refused: list[HsmUnavailable] = []

        def draw(connection: HsmConnection, refused: list[HsmUnavailable]) -> None:
            with pytest.raises(HsmUnavailable) as caught:
                connection.draw(8)
            refused.append(caught.value)

        threads = [threading.Thread(target=draw, args=(connection, refused)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 4
        assert any(isinstance(error, HsmTimedOut) for error in refused)
        connection.close()
        server.go_on()
    eventually(lambda: _require(not _workers()))


def _workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "hsmstore-pkcs11"]


def _require(condition: bool) -> None:  # noqa: FBT001  # the condition is all that it takes
    if not condition:
        raise HsmTimedOut("not yet")


def test_a_module_whose_line_is_not_known() -> None:
    """Where a call cannot be cut it is left: the next is refused at once, and all goes on when it is back."""
    worker = Worker(DEADLINE, Line(None, DEADLINE))
    back = threading.Event()
    with pytest.raises(HsmTimedOut, match="no answer"):
        worker.call(back.wait)
    with pytest.raises(HsmTimedOut, match="earlier call"):
        worker.call(lambda: None)
    back.set()
    assert eventually(lambda: worker.call(lambda: "answer")) == "answer"
    worker.end(lambda: None)
    with pytest.raises(ConnectionClosed):
        worker.call(lambda: None)


def test_closing_over_a_hung_server(server: Server, remote: Remote) -> None:
    """A close does not wait for a hung call, whose bytes nobody gets; a new connect works beside it."""
    connection = remote.connect()
    server.hang()
    outcome: list[object] = []

    def draw() -> None:
        try:
            outcome.append(connection.draw(8))
        except (HsmUnavailable, ConnectionClosed) as error:
            outcome.append(error)

    thread = threading.Thread(target=draw)
    thread.start()
    connection.close()
    server.go_on()
    thread.join()
    assert isinstance(outcome[0], HsmTimedOut | ConnectionClosed)
    fresh = eventually(remote.connect)
    assert fresh.draw(8)
    fresh.close()


def test_connecting_to_a_hung_server(server: Server, remote: Remote) -> None:
    """A connect that is not answered is NETWORK_ERRORS, and frees kmsuser for the next one."""
    server.hang()
    for _ in range(2):
        with pytest.raises(ConnectFailed, match="NETWORK_ERRORS"):
            remote.connect()
    with pytest.raises(HsmTimedOut):
        remote.hsm.reset_password(remote.cluster, SO_PIN, PASSWORD)
    server.go_on()
    connection = eventually(remote.connect)
    assert connection.draw(8)
    connection.close()


def test_a_killed_server(server: Server, remote: Remote) -> None:
    """Without its server the token is unavailable, a connect is NETWORK_ERRORS; with it all works again."""
    connection = remote.connect()
    server.kill()
    for _ in range(2):
        with pytest.raises(HsmUnavailable, match="CKR_DEVICE_ERROR"):
            connection.draw(8)
    connection.close()
    with pytest.raises(ConnectFailed, match="NETWORK_ERRORS"):
        remote.connect()
    server.start()
    connection = remote.connect()
    assert connection.draw(8)
    connection.close()


def test_a_forked_child_has_no_thread(remote: Remote) -> None:
    """A child that inherits the connection is refused at once instead of waiting for a thread it lacks."""
    connection = remote.connect()
    child = os.fork()
    if child == 0:
        try:
            connection.draw(8)
        except ConnectionClosed:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    connection.close()
