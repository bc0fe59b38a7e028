"""SIGTERM drains: what has been taken is answered, what has not leaves no trace, nobody new is let in."""

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hsmstore.trail.files import trail_files
from tests.load.keepalive import HalfAnswered, KeepAlive, kms_request
from tests.load.looking import comes_true, under_way
from tests.served import served
from tests.server import PASSWORD, Server, running
from tests.wire.failing import Played

CLIENTS = 8
ENOUGH = 50  # answers for each client before SIGTERM


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Serve for this test alone."""
    with running(tmp_path / "data", "--profile", "instant") as server:
        yield server
    assert "Traceback" not in server.log


def is_refused(server: Server) -> bool:
    """Tell whether nobody listens there any more."""
    try:
        socket.create_connection(("127.0.0.1", server.port)).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        pass  # the listener was closed with this connection in its queue
    return False


def test_calls_under_way_are_answered(server: Server, tmp_path: Path) -> None:
    """Calls that wait for a silent HSM at SIGTERM are answered when it goes on; then the server ends.

    Meanwhile nobody can connect, and a probe that was half sent is told that the server drains.
    """
    password = tmp_path / "kmsuser.password"
    password.write_text(PASSWORD)
    with (
        served(tmp_path / "served", "--kmsuser-password-file", str(password)) as hsm,
        ThreadPoolExecutor(3) as pool,
        socket.create_connection(("127.0.0.1", server.port)) as probe,
    ):
        store = {"CustomKeyStoreId": Played(server, "store", **hsm.members).store}
        probe.sendall(b"GET /_hsmstore/ready HTTP/1.1\r\n")
        hsm.hang()
        calls = [pool.submit(server.call, "ConnectCustomKeyStore", store)]
        assert comes_true(lambda: under_way(server) == 1)
        calls.append(pool.submit(server.call, "DescribeCustomKeyStores", store))
        calls.append(pool.submit(server.call, "GenerateRandom", {"NumberOfBytes": 16, **store}))
        assert comes_true(lambda: under_way(server) == 3)
        os.kill(server.pid, signal.SIGTERM)
        assert comes_true(lambda: is_refused(server))
        probe.sendall(b"Host: localhost\r\n\r\n")
        assert b"the server is draining" in b"".join(iter(lambda: probe.recv(4096), b""))
        assert not any(call.done() for call in calls)
        hsm.go_on()
        assert [call.result().status for call in calls] == [200, 200, 200]
        assert b'"CONNECTED"' in calls[1].result().body
        assert server.wait() == 0


class Client(threading.Thread):
    """Sends the same call on one connection until that ends."""

    def __init__(self, server: Server, operation: str, key_store_id: str) -> None:
        super().__init__()
        self.operation = operation
        self.answers = 0
        self.failure: BaseException | None = None
        self._connection = KeepAlive(server.port)
        members = {"NumberOfBytes": 32} if operation == "GenerateRandom" else {}
        self._request = kms_request(operation, {"CustomKeyStoreId": key_store_id, **members})

    def run(self) -> None:
        """Send until the connection ends, which it must not do within an answer."""
        try:
            with self._connection:
                while True:
                    assert self._connection.exchange(self._request).status == 200
                    self.answers += 1
        except (ConnectionError, AssertionError) as error:
            self.failure = error


def test_clients_that_keep_their_connections(server: Server) -> None:
    """As SIGTERM comes each request is answered whole, or its connection ends and nobody has served it.

    Draws are served in the server's loop, the other calls in its threads.
    """
    played = Played(server, "store")
    played.works()
    operations = ["GenerateRandom", "DescribeCustomKeyStores"]
    clients = [Client(server, operations[number % 2], played.store) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    assert comes_true(lambda: all(client.answers > ENOUGH for client in clients))
    assert server.stop() == 0
    for client in clients:
        client.join()
        assert isinstance(client.failure, ConnectionError)
        assert not isinstance(client.failure, HalfAnswered)
    for operation in operations:
        answers = sum(client.answers for client in clients if client.operation == operation)
        assert times_served(server, operation, played.store) == answers + 1  # `works` has asked once


def times_served(server: Server, operation: str, key_store_id: str) -> int:
    """Return how often the trail says that the operation was served for the store."""
    lines = b"".join(path.read_bytes() for path in trail_files(server.data_dir / "trail")).splitlines()
    about = (json.loads(line) for line in lines if key_store_id.encode() in line)
    return sum(record["eventName"] == operation for record in about)
