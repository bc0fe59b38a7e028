"""A full disk, a data directory that cannot be written: clear errors, nothing lost, all well afterwards."""

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from hsmstore.storage.registry import SqlRegistry
from tests.server import Server, running
from tests.wire.failing import NEW_PASSWORD, Played
from tests.wire.refusals import refusal

pytestmark = pytest.mark.simulator_only

DISK = "24m"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Server]:
    """Serve from a data directory on a small disk of its own."""
    disk = tmp_path / "data"
    disk.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0700", "tmpfs", disk], check=True)
    try:
        with running(disk, "--profile", "instant") as server:
            yield server
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@contextmanager
def full(server: Server) -> Iterator[None]:
    """Fill the disk to the last byte for as long as the context lasts."""
    ballast = server.data_dir / "ballast"
    with ballast.open("wb", buffering=0) as file:
        while _written(file.write):
            pass
    yield
    ballast.unlink()


def _written(write: Callable[[bytes], int | None]) -> bool:
    try:
        return bool(write(bytes(4096)))
    except OSError:
        return False


@contextmanager
def immutable(path: Path) -> Iterator[None]:
    """Let nobody write below the path, not even root, for as long as the context lasts."""
    subprocess.run(["chattr", "-R", "+i", path], check=True)
    yield
    subprocess.run(["chattr", "-R", "-i", path], check=True)


def rest(server: Server) -> None:
    """Wait until the trail has crossed out in the registry what it has written: then no commit is under way.

    SQLite cannot survive that nothing can be written in the middle of one (hsmstore/storage/engine.py).
    """
    origin = (server.data_dir / "trail" / "origin").read_text()
    with closing(SqlRegistry(server.registry_url)) as registry:
        while True:
            with registry.reading() as unit:
                if not unit.records(origin):
                    return
            threading.Event().wait(0.02)


@pytest.mark.sqlite
def test_a_full_disk(small: Server) -> None:
    """On a full disk calls that write are KMSInternalException with the reason in the log; none is lost."""
    played, other = Played(small, "full"), Played(small, "other")
    played.works()
    spare = small.new_cluster()
    with full(small):
        assert len(played.draw()) == 16
        for call, members in (
            (played.kms.disconnect_custom_key_store, {"CustomKeyStoreId": played.store}),
            (other.kms.connect_custom_key_store, {"CustomKeyStoreId": other.store}),
            (
                played.kms.update_custom_key_store,
                {"CustomKeyStoreId": other.store, "KeyStorePassword": NEW_PASSWORD},
            ),
        ):
            refused = refusal(call, **members)
            assert (refused.status, refused.code) == (500, "KMSInternalException")
        with pytest.raises(AssertionError, match="InternalFailure"):
            small.new_store("created on a full disk", small.new_cluster())
        assert played.state() == ("CONNECTED", None)
        assert other.state() == ("DISCONNECTED", None)
    assert "no space left" in small.log.lower()
    assert played.draw()
    other.works()
    assert small.new_store("created afterwards", spare)
    played.disconnect()
    played.works()


@pytest.mark.sqlite
def test_a_disk_that_fills_while_connecting(small: Server) -> None:
    """A connect that cannot be written down stays CONNECTING, and ends when there is room again."""
    played = Played(small, "filling")
    status, held = small.manage("POST", "/faults", {"Point": "connect", "Effect": "hang"})
    assert status == 200
    assert played.connect() == ("CONNECTING", None)
    until = {"Point": "connect", "Effect": "hang", "Until": small.manage("GET", "/clock")[1]["Now"] + 3}
    assert small.manage("POST", "/faults", until)[0] == 200
    assert small.manage("DELETE", f"/faults/{held['FaultId']}")[0] == 200
    with full(small):
        while "for now" not in small.log:
            assert played.state()[0] == "CONNECTING"
        said = small.log.count("for now")
        assert said < 20
    while played.state() == ("CONNECTING", None):
        pass
    assert played.state() == ("CONNECTED", None)
    assert played.draw()
    played.disconnect()
    played.works()


def test_a_token_that_cannot_be_written(server: Server) -> None:
    """A token directory that cannot be written fails the connect; made writable again, it connects."""
    played = Played(server, "immutable")
    with immutable(played.home):
        played.fails("INTERNAL_ERROR")
    played.works()
    with immutable(played.home):
        assert played.draw()
        played.set_network(reachable=False)
        played.set_network(reachable=True)
        played.stays_connected_and_fails()
    assert played.draw()


def test_a_read_only_data_directory(tmp_path: Path) -> None:
    """A data directory where nothing can be made leaves what is connected; all works when that is mended."""
    with running(tmp_path / "data", "--profile", "instant") as server:
        played, other = Played(server, "sound"), Played(server, "other")
        played.works()
        rest(server)
        with immutable(server.data_dir):
            assert len(played.draw()) == 16
            assert played.state() == ("CONNECTED", None)
            status, answer = server.manage("POST", "/clusters", {})
            assert (status, answer["__type"]) == (500, "CloudHsmInternalFailureException")
            assert os.strerror(1) in answer["Message"]
        assert server.new_cluster()
        other.works()
        assert played.draw()
