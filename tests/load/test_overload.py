"""More calls than there is room for are refused as KMS refuses them, at once, and nothing grows."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hsmstore.wire.threads import QUEUE_MAX
from tests.load.keepalive import KeepAlive, kms_request
from tests.load.looking import comes_true, resident, under_way
from tests.server import Server, running

THREADS = 4  # of a server of the tests
SURPLUS = 50
ROUNDS = 20
RSS_GROWTH_MAX = 24 * 1024  # KiB
FOREIGN = kms_request("List", {}).replace(b"TrentService", b"Another_20260101")
LOOK = kms_request("DescribeCustomKeyStores", {})


@pytest.fixture
def upstream() -> Iterator[socket.socket]:
    """Give another emulator, which answers when it is told to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def server(tmp_path: Path, upstream: socket.socket) -> Iterator[Server]:
    """Serve in front of it."""
    url = f"http://127.0.0.1:{upstream.getsockname()[1]}"
    with running(tmp_path / "data", "--upstream", url) as server:
        yield server
    assert "Traceback" not in server.log


@pytest.mark.usefixtures("many_files")
def test_more_calls_than_there_is_room_for(server: Server, upstream: socket.socket) -> None:
    """While no thread is free 1,024 calls wait, and each more is throttled; then all are answered."""
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            for _ in range(QUEUE_MAX)
        ]
        before = resident(server)
        for client in clients[:THREADS]:
            client.sendall(FOREIGN)
        held = [stack.enter_context(upstream.accept()[0]) for _ in range(THREADS)]
        for client in clients[THREADS:]:
            client.sendall(LOOK)
        assert comes_true(lambda: under_way(server) == QUEUE_MAX)
        surplus = [stack.enter_context(KeepAlive(server.port)) for _ in range(SURPLUS)]
        for _ in range(ROUNDS):
            answers = [client.exchange(LOOK) for client in surplus]
            assert {(answer.status, answer.code) for answer in answers} == {(400, "ThrottlingException")}
        assert server.manage("GET", "/health")[0] == 200
        assert under_way(server) == QUEUE_MAX
        assert resident(server) - before < RSS_GROWTH_MAX
        for thread in held:
            thread.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        assert all(client.recv(4096).startswith(b"HTTP/1.1 200 ") for client in clients)
        assert surplus[0].exchange(LOOK).status == 200
