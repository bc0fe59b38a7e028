"""A registry on PostgreSQL that is cut off, restarted or away: no wrong state, and recovery by itself."""

import json
import random  # noqa: TID251  # which call comes next; the seed is printed
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.postgres import Postgres
from tests.server import Answer, Server, running

pytestmark = pytest.mark.postgresql

UNFIT = 4
SECRET = "Canary8Database8Password"
PATIENCE = 60
GOALS = {"CONNECTING": "CONNECTED", "DISCONNECTING": "DISCONNECTED"}


@pytest.fixture
def url(mortal_postgres: Postgres) -> str:
    """Return the URL of a database whose server the test may kill; it holds a password."""
    mortal_postgres.execute("CREATE USER registrar SUPERUSER PASSWORD 'Canary8Database8Password'")
    database = mortal_postgres.new_database().rpartition("/")[2]
    return mortal_postgres.url_of_both(database, "registrar", SECRET)


@pytest.fixture
def server(tmp_path: Path, url: str) -> Iterator[Server]:
    """Serve from that database."""
    options = ("--profile", "instant", "--key-store-quota", "1000", "--database-url", url)
    with running(tmp_path / "data", *options) as server:
        yield server
    assert SECRET not in server.log
    assert "Traceback" not in server.log


def connected(server: Server) -> str:
    """Make a key store and connect it; return its id."""
    store = server.new_store("store")
    server.kms().connect_custom_key_store(CustomKeyStoreId=store)
    assert state(server, store) == "CONNECTED"
    return store


def state(server: Server, store: str) -> str:
    """Return the state that Describe tells."""
    [entry] = server.kms().describe_custom_key_stores(CustomKeyStoreId=store)["CustomKeyStores"]
    return str(entry["ConnectionState"])


def require_internal(answer: Answer) -> None:
    """See that a KMS call was refused as KMS refuses when it is at fault itself, and told no secret."""
    assert answer.status == 500
    assert json.loads(answer.body)["__type"] == "KMSInternalException"
    headers = {name.lower(): value for name, value in answer.headers.items()}
    assert headers["content-type"] == "application/x-amz-json-1.1"
    assert "x-amzn-requestid" in headers
    assert b"Canary" not in answer.body


def require_refusals(server: Server, store: str) -> None:
    """See that whatever needs the registry is refused, on both APIs, and that the process stands."""
    for operation, members in (
        ("DescribeCustomKeyStores", {}),
        ("ConnectCustomKeyStore", {"CustomKeyStoreId": store}),
        ("UpdateCustomKeyStore", {"CustomKeyStoreId": store, "NewCustomKeyStoreName": "another"}),
        ("DeleteCustomKeyStore", {"CustomKeyStoreId": store}),
        ("GenerateRandom", {"CustomKeyStoreId": "cks-00000000000000000", "NumberOfBytes": 8}),
    ):
        require_internal(server.call(operation, members))
    for method, path in (("GET", "/clusters"), ("POST", "/clusters"), ("GET", "/backups")):
        status, answer = server.manage(method, path)
        assert (status, answer["__type"]) == (500, "CloudHsmInternalFailureException"), answer
        assert SECRET not in answer["Message"]
    assert server.manage("GET", "/health")[0] == 200
    assert server.ended is None


def require_working(server: Server, store: str) -> None:
    """See that a CONNECTED store gives bytes, ends, begins again, and that new ones can be made."""
    kms = server.kms()
    assert len(kms.generate_random(CustomKeyStoreId=store, NumberOfBytes=16)["Plaintext"]) == 16
    kms.disconnect_custom_key_store(CustomKeyStoreId=store)
    assert state(server, store) == "DISCONNECTED"
    kms.connect_custom_key_store(CustomKeyStoreId=store)
    assert state(server, store) == "CONNECTED"
    assert kms.generate_random(CustomKeyStoreId=store, NumberOfBytes=16)["Plaintext"]
    other = server.new_store(f"after {random.randrange(2**32)}")
    kms.delete_custom_key_store(CustomKeyStoreId=other)


def join(postgres: Postgres, url: str) -> None:
    """Let a standby join, which only reads: who connects now has to pass it over."""
    postgres.begin_standby()
    postgres.cut(url)


@pytest.mark.parametrize(
    "befalls",
    [
        [Postgres.cut] * 3,
        [lambda postgres, _: postgres.restart()] * 3,
        [lambda postgres, _: postgres.crash()] * 3,
        [join, lambda postgres, _: postgres.fail_over()] * 2,
    ],
    ids=["cut", "restart", "kill", "fail over"],
)
def test_what_is_over_is_not_noticed(
    server: Server, mortal_postgres: Postgres, url: str, befalls: list[Callable[[Postgres, str], object]]
) -> None:
    """Calls after the connections were cut, or the database was restarted or replaced, succeed as before."""
    store = connected(server)
    for befall in befalls:
        befall(mortal_postgres, url)
        require_working(server, store)


@pytest.mark.parametrize("end", [Postgres.stop, Postgres.kill], ids=["stop", "kill"])
def test_a_database_that_is_away(
    server: Server, mortal_postgres: Postgres, end: Callable[[Postgres], None]
) -> None:
    """While it is away calls are refused, and when it is back they are served, without a restart of ours."""
    store = connected(server)
    end(mortal_postgres)
    require_refusals(server, store)
    mortal_postgres.start()
    assert state(server, store) == "CONNECTED"
    require_working(server, store)


def test_a_phase_outlasts_the_database(tmp_path: Path, url: str, mortal_postgres: Postgres) -> None:
    """CONNECTING and DISCONNECTING go on to their ends after the database was killed in the middle."""
    with running(tmp_path / "data", "--profile", "aws", "--database-url", url) as server:
        store = server.new_store("store")
        for call, during, after in (
            ("connect", "CONNECTING", "CONNECTED"),
            ("disconnect", "DISCONNECTING", "DISCONNECTED"),
        ):
            getattr(server.kms(), f"{call}_custom_key_store")(CustomKeyStoreId=store)
            assert state(server, store) == during
            mortal_postgres.crash()
            assert state(server, store) == during
            assert server.manage("POST", "/clock/advance", {"Seconds": 3600})[0] == 200
            assert state(server, store) == after


def test_a_database_that_is_down_at_the_start(tmp_path: Path, url: str, mortal_postgres: Postgres) -> None:
    """`serve` ends with exit code 4 and one line that tells what mends it; mended, it starts."""
    server = Server(tmp_path / "data", "--database-url", url)
    command = [sys.executable, "-m", "hsmstore", "serve", "--no-demo", "--data-dir", str(server.data_dir)]
    command += ["--port", str(server.port), "--database-url", url]
    mortal_postgres.stop()
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == UNFIT, ended
    (line,) = ended.stderr.splitlines()
    assert "refused" in line
    assert line.endswith("see that the server runs and that the URL names its host and port")
    assert SECRET not in line
    mortal_postgres.start()
    server.start()
    server.stop()


class Client(threading.Thread):
    """Moves one key store about, and holds every answer against what it may have been told before.

    It keeps where the store may be going: a call that was refused for the database's sake may have been
    carried out or not, until somebody looks.
    """

    def __init__(self, server: Server, store: str, seed: int) -> None:
        super().__init__()
        self.refused = 0
        self.rounds = 0
        self.failure: BaseException | None = None
        self._server = server
        self._store = store
        self._random = random.Random(seed)
        self._goals = {"DISCONNECTED"}
        self._stopping = threading.Event()

    def run(self) -> None:
        """Act until told to stop."""
        try:
            while not self._stopping.is_set():
                self._random.choice([self._connect, self._disconnect, self._look, self._draw])()
                self.rounds += 1
        except BaseException as error:  # noqa: BLE001  # stop raises it again
            self.failure = error

    def stop(self) -> None:
        """End, and raise what was wrong."""
        self._stopping.set()
        self.join()
        if self.failure is not None:
            raise self.failure

    def require_settled(self) -> None:
        """See that the store is where the last answered call has put it, and goes where the next one does."""
        while (there := self._look()) in GOALS:
            pass
        move, other = (
            (self._connect, "CONNECTED") if there == "DISCONNECTED" else (self._disconnect, "DISCONNECTED")
        )
        move()
        while (there := self._look()) in GOALS:
            pass
        assert there == other
        self._draw()

    def _ask(self, operation: str, **members: object) -> Answer | None:
        """Send a call about the store; None where it was refused for the database's sake."""
        answer = self._server.call(operation, {"CustomKeyStoreId": self._store, **members})
        if answer.status == 500:
            require_internal(answer)
            self.refused += 1
            return None
        return answer

    def _connect(self) -> None:
        self._move("ConnectCustomKeyStore", "CONNECTED")

    def _disconnect(self) -> None:
        self._move("DisconnectCustomKeyStore", "DISCONNECTED")

    def _move(self, operation: str, goal: str) -> None:
        answer = self._ask(operation)
        if answer is None:
            self._goals |= {goal}
        elif answer.status == 200:
            self._goals = {goal}
        else:  # DISCONNECTING accepts neither, DISCONNECTED no Disconnect
            assert json.loads(answer.body)["__type"] == "CustomKeyStoreInvalidStateException"
            assert "DISCONNECTED" in self._goals
            self._goals = {"DISCONNECTED"}

    def _look(self) -> str | None:
        answer = self._ask("DescribeCustomKeyStores")
        if answer is None:
            return None
        [entry] = json.loads(answer.body)["CustomKeyStores"]
        there: str = entry["ConnectionState"]
        goal = GOALS.get(there, there)
        assert goal in self._goals
        self._goals = {goal}
        return there

    def _draw(self) -> None:
        answer = self._ask("GenerateRandom", NumberOfBytes=16)
        if answer is not None and answer.status == 200:
            assert "CONNECTED" in self._goals, "bytes after Disconnect was answered"
            self._goals = {"CONNECTED"}
        elif answer is not None:
            assert json.loads(answer.body)["__type"] == "CustomKeyStoreInvalidStateException"


def test_outages_under_load(server: Server, mortal_postgres: Postgres, url: str) -> None:
    """Whatever befalls the database, what was answered stands; each store ends where its client put it."""
    seed = random.randrange(2**32)
    clients = [Client(server, server.new_store(f"store {n}"), seed + n) for n in range(4)]
    for client in clients:
        client.start()
    try:
        for _ in range(5):
            progress(clients)
            mortal_postgres.cut(url)
        progress(clients)
        mortal_postgres.restart()
        progress(clients)
        mortal_postgres.crash()
        progress(clients)
        mortal_postgres.stop()
        refused_again(clients)
        mortal_postgres.start()
        progress(clients)
        mortal_postgres.begin_standby()
        mortal_postgres.fail_over()
        progress(clients)
    finally:
        for client in clients:
            client.stop()
    for client in clients:
        client.require_settled()


def progress(clients: list[Client]) -> None:
    """Wait until each client has done a few things more."""
    _wait(clients, lambda client: client.rounds)


def refused_again(clients: list[Client]) -> None:
    """Wait until each client was refused a few times more."""
    _wait(clients, lambda client: client.refused)


def _wait(clients: list[Client], count: Callable[[Client], int]) -> None:
    before = [count(client) for client in clients]
    while any(count(client) < told + 5 for client, told in zip(clients, before, strict=True)):
        assert all(client.is_alive() for client in clients), [client.failure for client in clients]
        threading.Event().wait(0.01)
