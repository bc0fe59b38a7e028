"""A cluster whose token is behind `hsmstore hsm serve`: killed, hung, cut off, and back again by itself."""

import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from hsmstore.hsm.profile import load_profile
from tests.served import ServedHsm, served
from tests.server import PASSWORD, Server
from tests.wire.failing import Played

SERVED_PASSWORD = "kmsuser.password"


@pytest.fixture
def hsm(tmp_path: Path) -> Iterator[ServedHsm]:
    """Give a served token."""
    (tmp_path / SERVED_PASSWORD).write_text(PASSWORD)
    options = ("--kmsuser-password-file", str(tmp_path / SERVED_PASSWORD))
    with served(tmp_path / "served", *options) as hsm:
        yield hsm


def over(server: Server, hsm: ServedHsm, name: str, address: str | None = None) -> Played:
    """Return a connected key store over the token, whose password KMS has changed."""
    played = Played(server, name, **hsm.members | {"Pkcs11Address": address or hsm.address})
    played.works()
    return played


@pytest.mark.aws_documented
def test_a_killed_hsm(server: Server, hsm: ServedHsm) -> None:
    """Killed, it is NETWORK_ERRORS to a connect and fails each draw; started again, it needs no reconnect."""
    played = over(server, hsm, "killed-hsm")
    hsm.stop(signal.SIGKILL)
    played.stays_connected_and_fails()
    hsm.start()
    assert len(played.draw()) == 16
    hsm.stop(signal.SIGKILL)
    played.disconnect()
    played.fails("NETWORK_ERRORS")
    hsm.start()
    played.works()


@pytest.mark.aws_documented
def test_a_hung_hsm(server: Server, hsm: ServedHsm) -> None:
    """A draw that nobody answers is a timeout of the dependency; when the HSM goes on, so do the draws."""
    played = over(server, hsm, "hung-hsm")
    hsm.hang()
    assert played.refused_draw().code == "DependencyTimeoutException"
    assert played.refused_draw().code == "DependencyTimeoutException"
    assert played.state() == ("CONNECTED", None)
    hsm.go_on()
    assert drawn_at_last(played)


def drawn_at_last(played: Played) -> bytes:
    """Return what is drawn when the server tries an HSM again that was silent, some seconds later."""
    for _ in range(300):
        with suppress(ClientError):
            return played.draw()
        threading.Event().wait(0.1)
    return played.draw()


class Proxy:
    """What stands between a server and its HSM, and can be cut."""

    def __init__(self, path: Path, behind: Path) -> None:
        self._path = path
        self._behind = behind
        self._open: list[socket.socket] = []

    @property
    def address(self) -> str:
        """Where it is, for the module."""
        return f"unix:path={self._path}"

    def let_through(self) -> None:
        """Pass everything on."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._path))
        listener.listen()
        self._open.append(listener)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """Close every connection, and take no other."""
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._open.clear()
        self._path.unlink()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                behind = socket.socket(socket.AF_UNIX)
                behind.connect(str(self._behind))
                self._open += [client, behind]
                for pair in ((client, behind), (behind, client)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while octets := source.recv(65536):
                target.sendall(octets)
            target.shutdown(socket.SHUT_RDWR)


@pytest.mark.aws_documented
def test_an_hsm_cut_off(server: Server, hsm: ServedHsm, tmp_path: Path) -> None:
    """Cut off, it fails each draw; within reach again, it needs no reconnect."""
    proxy = Proxy(tmp_path / "proxy", hsm.socket)
    proxy.let_through()
    played = over(server, hsm, "hsm-cut-off", proxy.address)
    proxy.cut()
    played.stays_connected_and_fails()
    proxy.let_through()
    assert len(played.draw()) == 16
    proxy.cut()


@pytest.mark.simulator_only
def test_what_the_hsm_lacks_is_told(server: Server, hsm: ServedHsm) -> None:
    """While it is connected, a cluster's description says if keys cannot be used through its module."""
    played = over(server, hsm, "lacking-hsm")
    module = str(load_profile("p11-kit").locate())
    offered = subprocess.run(
        ["pkcs11-tool", "--module", module, "--list-mechanisms"],
        env={"P11_KIT_SERVER_ADDRESS": hsm.address, "PATH": "/usr/bin"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "AES-KEY-GEN" in offered
    token = played.manage("GET")["Token"]
    assert token["Address"] == hsm.address
    assert ("no CKM_AES_GCM" in token.get("Lack", "")) is ("AES-GCM" not in offered)
    played.disconnect()
    assert "Lack" not in played.manage("GET")["Token"]
