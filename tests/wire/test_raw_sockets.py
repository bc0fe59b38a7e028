"""What no client library sends: requests that could be two, too large, too slow; and clients without end."""

import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from hsmstore.simulator import Simulator
from hsmstore.wire.http import HEAD_MAX, HEADERS_MAX
from hsmstore.wire.rounds import ROUND_MAX
from hsmstore.wire.server import BACKLOG, SPARE_FILES
from tests.server import Server, running
from tests.wire.raw import bodies, cut, exchange, request

pytestmark = [pytest.mark.simulator_only, pytest.mark.sqlite]

DRAW = b'{"NumberOfBytes":1}'
START = b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: TrentService.GenerateRandom\r\n"
START += b"Content-Type: application/x-amz-json-1.1\r\n"
SMUGGLED = request(DRAW, "Connection: close")
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(DRAW), DRAW)
IDLE = 10_000


def drawn(received: bytes) -> int:
    """Return how many draws the server has answered."""
    return received.count(b'"Plaintext"')


TWO_AT_ONCE = {
    "length and chunked": START + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": START + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": START + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED),
    "a list of lengths": START + b"Content-Length: 0, %d\r\n\r\n" % len(SMUGGLED),
    "a signed length": START + b"Content-Length: +0\r\n\r\n",
    "a negative length": START + b"Content-Length: -1\r\n\r\n",
    "a hexadecimal length": START + b"Content-Length: 0x0\r\n\r\n",
    "an endless length": START + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "space before the colon": START + b"Content-Length : 0\r\n\r\n",
    "space before chunked's colon": START + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "an unknown coding": START + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding behind chunked": START + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "two codings": START + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    "a folded header": START + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "an endless chunk": START + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    "a negative chunk": START + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "a chunk that is longer": START + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n",
    "NUL in a header": START + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "NUL in a name": START + b"X\0: a\r\nContent-Length: 0\r\n\r\n",
    "a header without a name": START + b": a\r\nContent-Length: 0\r\n\r\n",
    "a space in a name": START + b"X Y: a\r\nContent-Length: 0\r\n\r\n",
    "CR alone": START + b"X: a\rContent-Length: 0\r\n\r\n",
    "a line before the headers": b"POST / HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "no version": b"POST /\r\n\r\n",
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version of its own": b"POST / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "a method of its own": b"SMUGGLE / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no host": b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "TLS": bytes.fromhex("16030100f4010000f00303") + bytes(200),
    "nothing that is anything": bytes(range(256)),
}


@pytest.mark.parametrize("sent", TWO_AT_ONCE.values(), ids=TWO_AT_ONCE)
def test_requests_that_could_be_two(server: Server, sent: bytes) -> None:
    """What two readers could split differently is refused, and nothing behind it is read on."""
    received = exchange(server, sent + SMUGGLED)
    assert re.match(rb"HTTP/1\.1 4\d\d ", received), received
    assert received.count(b"HTTP/1.1 ") == 1
    assert drawn(received) == 0


WELL_FORMED = {
    "pipelined": (request(DRAW) + SMUGGLED, 2),
    "chunked": (START + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED + SMUGGLED, 2),
    "Chunked in capitals": (START + b"Transfer-Encoding: CHUNKED\r\n\r\n" + CHUNKED + SMUGGLED, 2),
    "a whole URL": (SMUGGLED.replace(b"POST / ", b"POST http://localhost/ "), 1),
}


@pytest.mark.parametrize(("sent", "draws"), WELL_FORMED.values(), ids=WELL_FORMED)
def test_requests_that_are_what_they_seem(server: Server, sent: bytes, draws: int) -> None:
    """What has one meaning only is served: as many answers as requests."""
    assert drawn(exchange(server, sent)) == draws


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (START + b"X: " + b"x" * HEAD_MAX, 431),
        (START + b"X" * HEAD_MAX, 431),
        (b"POST /" + b"x" * HEAD_MAX, 431),
        (START + b"".join(b"X%d: x\r\n" % number for number in range(HEADERS_MAX)) + b"\r\n", 400),
        (START + b"".join(b"X%d: %b\r\n" % (n, b"x" * 900) for n in range(HEADERS_MAX)), 431),
    ],
    ids=["value", "name", "target", "number", "together"],
)
def test_oversize_headers(server: Server, sent: bytes, status: int) -> None:
    """A head that is too large is refused before it has ended."""
    assert exchange(server, sent).startswith(b"HTTP/1.1 %d " % status)


ABSURD = [
    "",
    " ",
    ",",
    "::::",
    "[",
    "[]",
    "[::1",
    "a b",
    "*",
    "\xff" * 300,
    "x" * 60_000,
    "%00",
    "localhost:-1",
]
ABSURD += ["http://localhost", "localhost\t", "localhost@evil.example", "evil.example#localhost", "null"]


@pytest.mark.parametrize("value", ABSURD, ids=range(len(ABSURD)))
def test_absurd_hosts_and_origins(server: Server, value: str) -> None:
    """Whatever stands in Host or Origin, the answer is a refusal in form, and the connection goes on."""
    raw = value.encode("latin-1")
    host = START.replace(b"localhost", raw) + b"Content-Length: 0\r\n\r\n"
    origin = START + b"Origin: " + raw + b"\r\nContent-Length: 0\r\n\r\n"
    for sent in (host, origin):
        received = exchange(server, sent + SMUGGLED)
        first, second = bodies(received)
        kind = json.loads(first)["__type"]
        assert kind in {"HostNotAllowedException", "OriginNotAllowedException", "SerializationException"}
        assert json.loads(second).keys() == {"Plaintext"}


class Drawer(threading.Thread):
    """Draws on one connection until told to stop; whatever fails is kept."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._stopping = threading.Event()
        self.draws = 0
        self.failures: list[str] = []

    def run(self) -> None:
        """Draw, with a pause that leaves the machine to others."""
        with socket.create_connection(("127.0.0.1", self._server.port), timeout=60) as connection:
            while not self._stopping.wait(0.01):
                connection.sendall(request(DRAW))
                if not connection.recv(4096).startswith(b"HTTP/1.1 200 "):
                    self.failures.append("a draw was not served")
                    return
                self.draws += 1

    def more(self) -> None:
        """Wait until it has drawn some more."""
        wanted = self.draws + 3
        for _ in range(6000):  # a minute
            if self.draws >= wanted:
                return
            assert self.is_alive(), self.failures
            self._stopping.wait(0.01)
        raise AssertionError("the draws have come to a halt")

    def stop(self) -> None:
        """End, and see that nothing failed."""
        self._stopping.set()
        self.join()
        assert not self.failures


@contextmanager
def drawing(server: Server) -> Iterator[Drawer]:
    """Draw for as long as the context lasts."""
    drawer = Drawer(server)
    drawer.start()
    try:
        yield drawer
    finally:
        drawer.stop()


def connect(server: Server, number: int = 0) -> socket.socket:
    """Connect, from one of several addresses of loopback: each has its own ports."""
    source = (f"127.0.0.{2 + number % 4}", 0)
    return socket.create_connection(("127.0.0.1", server.port), timeout=60, source_address=source)


def connected(server: Server) -> float:
    """Return how many clients the server says are connected."""
    text = server.request("GET", "/_hsmstore/metrics").body.decode()
    (found,) = re.findall(r"^hsmstore_http_connections (\S+)$", text, re.MULTILINE)
    return float(found)


@contextmanager
def running_tls(data_dir: Path) -> Iterator[Server]:
    """Serve HTTPS for as long as the context lasts."""
    server = Server(data_dir, "--tls")
    server.spawn()
    try:
        while True:
            assert server.ended is None, server.log
            try:
                connect(server).close()
                break
            except ConnectionRefusedError:
                continue
        yield server
    finally:
        server.stop()


UNFINISHED = [b"P", START[:-2], START, START + b"Content-Length: 9\r\n\r\n{"]
HELLO = bytes.fromhex("16030100f4010000f00303")  # how a handshake of TLS begins


def test_slow_and_idle_clients(tmp_path: Path, many_files: int) -> None:
    """Ten thousand idle clients beside a hundred that never finish hold up no call, and the slow are cut off.

    Neither do handshakes of TLS that never end. Where a process is granted fewer files there are as many
    clients as these suffice for.
    """
    idle_clients = min(IDLE, many_files - SPARE_FILES - BACKLOG - 500)
    assert idle_clients > 100, f"{many_files} files are too few for anything"
    with ExitStack() as stack:
        server, over_tls = (
            stack.enter_context(run) for run in (running(tmp_path / "data"), running_tls(tmp_path / "tls"))
        )
        drawer = stack.enter_context(drawing(server))
        slow = [stack.enter_context(connect(server, number)) for number in range(100)]
        for number, connection in enumerate(slow):
            connection.sendall(UNFINISHED[number % len(UNFINISHED)])
        handshakes = [stack.enter_context(connect(over_tls)) for _ in range(2)]
        handshakes[1].sendall(HELLO)
        drawer.more()
        for number in range(idle_clients):
            stack.enter_context(connect(server, number))
            if number % 1000 == 0:
                drawer.more()
        drawer.more()
        assert connected(server) >= idle_clients
        assert len(server.kms().generate_random(NumberOfBytes=32)["Plaintext"]) == 32
        assert len(tls_client(over_tls).random(32)) == 32
        assert all(cut(connection).startswith(b"HTTP/1.1 408 ") for connection in slow)
        assert not any(b"HTTP" in cut(connection) for connection in handshakes)
        drawer.more()
        assert connected(server) >= idle_clients
        assert len(tls_client(over_tls).random(32)) == 32


def tls_client(server: Server) -> Simulator:
    """Return a client that trusts the server's own certificate."""
    context = ssl.create_default_context(cafile=server.data_dir / "tls" / "ca.pem")
    return Simulator(f"https://localhost:{server.port}", context=context)


def test_more_clients_than_a_round_has(server: Server) -> None:
    """However many ask at once, each gets its answer."""
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(server)) for _ in range(5 * ROUND_MAX)]
        for _ in range(3):
            for client in clients:
                client.sendall(request(DRAW))
            assert all(drawn(client.recv(4096)) == 1 for client in clients)


def test_more_clients_than_there_is_room_for(tmp_path: Path) -> None:
    """The most silent make way for newcomers."""
    with running(tmp_path / "data", "--connections", "20") as server, ExitStack() as stack:
        clients = [stack.enter_context(connect(server)) for _ in range(60)]
        assert exchange(server, SMUGGLED).startswith(b"HTTP/1.1 200 ")
        assert [cut(client) for client in clients[:40]] == [b""] * 40
        clients[-1].sendall(request(DRAW))
        assert clients[-1].recv(4096).startswith(b"HTTP/1.1 200 ")
        assert server.log.count("the most silent make way") == 1


def test_who_waits_for_an_answer_stays(tmp_path: Path) -> None:
    """Where all clients wait for answers, one more is told that there is no room, whatever it wants."""
    options = ("--profile", "instant", "--connections", "20", "--threads", "21")
    with running(tmp_path / "data", *options) as server, ExitStack() as stack:
        store = server.new_store("crowded")
        server.kms().connect_custom_key_store(CustomKeyStoreId=store)
        simulator = Simulator(server.endpoint)
        fault = simulator.faults.add("draw", "hang", store=store)
        held = request(json.dumps({"NumberOfBytes": 1, "CustomKeyStoreId": store}).encode())
        clients = [stack.enter_context(connect(server)) for _ in range(20)]
        for client in clients:
            client.sendall(request(DRAW) + held)  # read as one: where the first is answered, the other waits
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert cut(stack.enter_context(connect(server))).startswith(b"HTTP/1.1 503 ")
        clients.pop().close()
        simulator.faults.remove(fault["FaultId"])
        assert all(client.recv(4096).startswith(b"HTTP/1.1 200 ") for client in clients)
