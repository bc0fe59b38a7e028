"""Ended under load and started again: what was answered is kept, and what was not is whole.

After SIGTERM more is promised: what was not answered was not done, since all that was taken is answered.
"""

import threading
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.load.keepalive import Exchange, HalfAnswered, KeepAlive, kms_request
from tests.server import PASSWORD, Server, external_members, running

THREADS = 4
LOADED_FOR = 0.7  # seconds before the server is ended
PAUSE = 0.005  # seconds that a client waits before it asks again a server that is not there
ROUNDS = 2
ENDURANCE_ROUNDS = 60


class Client(threading.Thread):
    """Sends requests until it is told to stop, and keeps what it was answered.

    A request without an answer may or may not have been served: what it was about is `unsure` from then on.
    """

    def __init__(self, server: Server, number: int) -> None:
        super().__init__(name=f"client {number}")
        self.answers = 0
        self.unanswered = 0
        self.halves = 0
        self.failure: BaseException | None = None
        self._connection = KeepAlive(server.port)
        self._stopping = threading.Event()

    def run(self) -> None:
        """Send until told to stop; a server that is not there is waited for."""
        with self._connection:
            try:
                while not self._stopping.is_set():
                    self.step()
            except BaseException as error:  # noqa: BLE001  # the test looks at it
                self.failure = error

    def stop(self) -> None:
        """End after the step under way."""
        self._stopping.set()
        self.join()

    def step(self) -> None:
        """Send what comes next."""
        raise NotImplementedError

    def send(self, operation: str, **members: Any) -> Exchange | None:
        """Return the answer, or None where there was none."""
        try:
            answer = self._connection.exchange(kms_request(operation, members))
        except OSError as error:
            self.unanswered += 1
            self.halves += isinstance(error, HalfAnswered)
            self._stopping.wait(PAUSE)
            return None
        assert answer.status == 200, answer
        self.answers += 1
        return answer


class Writer(Client):
    """Creates external key stores, renames every second one, and deletes every third."""

    def __init__(self, server: Server, number: int) -> None:
        super().__init__(server, number)
        self.kept: dict[str, str] = {}
        self.gone: set[str] = set()
        self.unsure: set[str] = set()
        self._count = number * 100_000  # names are never used again

    def step(self) -> None:
        """Lead one store through its life, as far as the server answers."""
        self._count += 1
        name = f"store-{self._count}"
        created = self.send("CreateCustomKeyStore", CustomKeyStoreName=name, **external_members(name))
        if created is None:
            return
        key_store_id = created.document["CustomKeyStoreId"]
        self.kept[key_store_id] = name
        if self._count % 2 == 0:
            self._change(key_store_id, "UpdateCustomKeyStore", NewCustomKeyStoreName=f"{name} renamed")
        if self._count % 3 == 0:
            self._change(key_store_id, "DeleteCustomKeyStore")

    def _change(self, key_store_id: str, operation: str, **members: str) -> None:
        if key_store_id in self.unsure:
            return
        if self.send(operation, CustomKeyStoreId=key_store_id, **members) is None:
            self.unsure.add(key_store_id)
        elif members:
            self.kept[key_store_id] = members["NewCustomKeyStoreName"]
        else:
            self.gone.add(key_store_id)
            del self.kept[key_store_id]


class Switcher(Client):
    """Connects and disconnects one store, and draws from it while it is connected."""

    def __init__(self, server: Server, number: int, key_store_id: str) -> None:
        super().__init__(server, number)
        self.key_store_id = key_store_id
        self.connected: bool | None = False  # None: nobody knows

    def step(self) -> None:
        """Make sure of the state, connect, draw and disconnect."""
        if self.connected is None:
            self._look()
        elif not self.connected:
            self._switch("ConnectCustomKeyStore", connected=True)
        else:
            self.send("GenerateRandom", CustomKeyStoreId=self.key_store_id, NumberOfBytes=32)
            self._switch("DisconnectCustomKeyStore", connected=False)

    def _switch(self, operation: str, *, connected: bool) -> None:
        answer = self.send(operation, CustomKeyStoreId=self.key_store_id)
        self.connected = None if answer is None else connected

    def _look(self) -> None:
        answer = self.send("DescribeCustomKeyStores", CustomKeyStoreId=self.key_store_id)
        if answer is not None:
            (entry,) = answer.document["CustomKeyStores"]
            # A kill may leave it in between: the next look will have settled it.
            self.connected = {"CONNECTED": True, "DISCONNECTED": False}.get(entry["ConnectionState"])
            assert entry["ConnectionState"] != "FAILED", entry


@contextmanager
def _under_load(
    server: Server, stores: Sequence[str], turn: int
) -> Iterator[tuple[list[Writer], list[Switcher]]]:
    """Load the server from some time before the context until some time after it."""
    writers = [Writer(server, turn * THREADS + number) for number in range(THREADS)]
    switchers = [Switcher(server, number, key_store_id) for number, key_store_id in enumerate(stores)]
    for client in (*writers, *switchers):
        client.start()
    threading.Event().wait(LOADED_FOR)
    try:
        yield writers, switchers
        threading.Event().wait(LOADED_FOR)
    finally:
        for client in (*writers, *switchers):
            client.stop()


def _described(server: Server) -> dict[str, Any]:
    pages = server.kms().get_paginator("describe_custom_key_stores").paginate()
    return {entry["CustomKeyStoreId"]: entry for page in pages for entry in page["CustomKeyStores"]}


def _require_kept(server: Server, writers: Sequence[Writer], switchers: Sequence[Switcher]) -> None:
    """See that all that was answered is true, and that what was not is true or not, but whole."""
    found = _described(server)
    for writer in writers:
        assert not writer.gone & found.keys()
        for key_store_id in writer.kept.keys() - writer.unsure:
            assert found[key_store_id]["CustomKeyStoreName"] == writer.kept[key_store_id]
    for switcher in switchers:
        state = found[switcher.key_store_id]["ConnectionState"]
        if switcher.connected is not None:
            assert state == ("CONNECTED" if switcher.connected else "DISCONNECTED")


def _require_nothing_else(server: Server, kept: Mapping[str, str]) -> None:
    """See that the writers' stores are as they were answered to be: what was not answered was not done."""
    found = _described(server).items()
    external = {store: entry for store, entry in found if entry["CustomKeyStoreType"] == "EXTERNAL_KEY_STORE"}
    assert {store: entry["CustomKeyStoreName"] for store, entry in external.items()} == kept


@pytest.mark.endurance
@pytest.mark.parametrize("end", [Server.stop, Server.kill], ids=["SIGTERM", "SIGKILL"])
def test_ended_under_load(tmp_path: Path, end: Callable[[Server], int | None], *, endurance: bool) -> None:
    """Nothing that was answered is lost, and the next start happens under the load of those who wait."""
    with running(tmp_path / "data", "--profile", "instant", "--key-store-quota", "100000") as server:
        stores = [server.new_store(f"store {number}") for number in range(2)]
        kept: dict[str, str] = {}
        for turn in range(ENDURANCE_ROUNDS if endurance else ROUNDS):
            for key_store_id in stores:
                _disconnect(server, key_store_id)
            with _under_load(server, stores, turn) as (writers, switchers):
                assert end(server) in {0, None}
                server.start()
            for client in (*writers, *switchers):
                assert client.failure is None, client.failure
                assert client.answers > 0
                assert client.unanswered > 0
            _require_kept(server, writers, switchers)
            server.stop()
            server.start()
            _require_kept(server, writers, switchers)
            if end is Server.stop:
                assert not any(client.halves for client in (*writers, *switchers))
                kept |= ChainMap(*(writer.kept for writer in writers))
                _require_nothing_else(server, kept)
        assert "Traceback" not in server.log


def _disconnect(server: Server, key_store_id: str) -> None:
    """Disconnect the store if it is not; a kmsuser whose password a kill has lost cannot connect."""
    kms = server.kms()
    if _described(server)[key_store_id]["ConnectionState"] == "DISCONNECTED":
        kms.connect_custom_key_store(CustomKeyStoreId=key_store_id)
    assert _described(server)[key_store_id]["ConnectionState"] == "CONNECTED"
    assert kms.generate_random(NumberOfBytes=16, CustomKeyStoreId=key_store_id)["Plaintext"]
    kms.disconnect_custom_key_store(CustomKeyStoreId=key_store_id)


def test_a_lost_token_comes_back(tmp_path: Path) -> None:
    """A store whose token directory is gone stays CONNECTED and gives no byte, until it is back."""
    with running(tmp_path / "data", "--profile", "instant") as server:
        cluster = server.new_cluster()
        key_store_id = server.new_store("store", cluster)
        server.kms().connect_custom_key_store(CustomKeyStoreId=key_store_id)
        home = server.data_dir / "hsm" / cluster["CloudHsmClusterId"]
        away = tmp_path / "away"
        for directory in (home, home / "tokens"):
            server.stop()
            directory.rename(away)
            server.start()
            answer = _draw(server, key_store_id)
            assert (answer.status, answer.code) == (500, "KMSInternalException")
            assert _described(server)[key_store_id]["ConnectionState"] == "CONNECTED"
            away.rename(directory)
            assert _draw(server, key_store_id).status == 200
        assert "Traceback" not in server.log


def test_a_lost_module_comes_back(tmp_path: Path) -> None:
    """With a module path that is wrong everything that needs no module is served, and nothing is lost."""
    with running(tmp_path / "data", "--profile", "instant") as server:
        key_store_id = server.new_store("store")
        server.kms().connect_custom_key_store(CustomKeyStoreId=key_store_id)
        server.stop()
        server.start("--pkcs11-module", str(tmp_path / "no-such-module.so"))
        assert _draw(server, key_store_id).code == "KMSInternalException"
        assert _described(server)[key_store_id]["ConnectionState"] == "CONNECTED"
        status, refusal = server.manage("POST", "/clusters", {"KmsuserPassword": PASSWORD})
        assert (status, refusal["__type"]) == (500, "CloudHsmInternalFailureException")
        assert "no-such-module.so" in refusal["Message"]
        assert "\n" not in refusal["Message"]
        server.stop()
        server.start()
        assert _draw(server, key_store_id).status == 200
        assert "Traceback" not in server.log


def test_the_environments_softhsm_configuration_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SOFTHSM2_CONF of whoever starts the server is neither read nor followed."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    configuration = elsewhere / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {elsewhere}\n")
    for value in (configuration, tmp_path / "missing.conf"):
        monkeypatch.setenv("SOFTHSM2_CONF", str(value))
        with running(tmp_path / f"data of {value.name}", "--profile", "instant") as server:
            key_store_id = server.new_store("store")
            server.kms().connect_custom_key_store(CustomKeyStoreId=key_store_id)
            assert _draw(server, key_store_id).status == 200
    assert list(elsewhere.iterdir()) == [configuration]


def test_kmsuser_stays_logged_in(tmp_path: Path) -> None:
    """From the first answer after a start nobody can change a CONNECTED store's kmsuser, as before it."""
    with running(tmp_path / "data", "--profile", "instant", "--key-store-quota", "100") as server:
        clusters = [server.new_cluster() for _ in range(20)]
        stores = [server.new_store(f"store {number}", cluster) for number, cluster in enumerate(clusters)]
        for key_store_id in stores:
            server.kms().connect_custom_key_store(CustomKeyStoreId=key_store_id)
        server.stop()
        server.start()
        for cluster in reversed(clusters):  # the last is the last to be logged in to
            path = f"/clusters/{cluster['CloudHsmClusterId']}/kmsuser"
            assert server.manage("PUT", path, {"Password": "another7"})[0] == 400
        for key_store_id in stores:
            assert _draw(server, key_store_id).status == 200


def _draw(server: Server, key_store_id: str) -> Exchange:
    with KeepAlive(server.port) as connection:
        members = {"CustomKeyStoreId": key_store_id, "NumberOfBytes": 32}
        return connection.exchange(kms_request("GenerateRandom", members))
