"""The demo key store: made once in the life of a data directory, whatever happens in between."""

import json
import zlib
from pathlib import Path

import pytest

from hsmstore.cli.client import Simulator
from hsmstore.cli.clock import pauses
from hsmstore.cli.first_start import MARKER, NAME, demo_key_store
from hsmstore.cli.waiting import settled
from tests.server import PASSWORD, Server, running

INTERRUPTED = '{"Complete": false}'


@pytest.fixture
def simulator(server: Server, request: pytest.FixtureRequest) -> Simulator:
    """Return the shared server in an account of its own, which is empty."""
    account = f"{zlib.crc32(request.node.name.encode()):012}"
    return Simulator(server.endpoint, account=account, region="us-east-1")


def _clusters(simulator: Simulator) -> list[str]:
    listed = simulator.manage("GET", "clusters", **simulator.scope)["Clusters"]
    return [cluster["CloudHsmClusterId"] for cluster in listed]


def _connected(simulator: Simulator, key_store_id: str | None) -> bool:
    assert key_store_id is not None
    store = settled(simulator, key_store_id, timeout=60, tell=lambda _, __: None)
    return (store.custom_key_store_name, store.connection_state) == (NAME, "CONNECTED")


def _make_store(simulator: Simulator, name: str) -> str:
    cluster = simulator.manage("POST", "clusters", KmsuserPassword=PASSWORD, **simulator.scope)
    answer = simulator.kms(
        "CreateCustomKeyStore",
        CustomKeyStoreName=name,
        CloudHsmClusterId=cluster["CloudHsmClusterId"],
        KeyStorePassword=PASSWORD,
        TrustAnchorCertificate=cluster["TrustAnchorCertificate"],
    )
    return str(answer["CustomKeyStoreId"])


def test_first_start_makes_one(simulator: Simulator, tmp_path: Path) -> None:
    """The first call makes a connected store and writes down its id; a second call makes none."""
    key_store_id = demo_key_store(simulator, tmp_path)
    assert _connected(simulator, key_store_id)
    marker = json.loads((tmp_path / MARKER).read_text())
    assert marker == {"Complete": True, "CustomKeyStoreId": key_store_id}
    assert demo_key_store(simulator, tmp_path) == key_store_id
    assert (len(simulator.key_stores()), len(_clusters(simulator))) == (1, 1)
    assert [file.name for file in tmp_path.iterdir()] == [MARKER]


def test_deleted_stays_deleted(simulator: Simulator, tmp_path: Path) -> None:
    """A demo that its user has deleted is not made again."""
    (tmp_path / MARKER).write_text('{"Complete": true, "CustomKeyStoreId": "cks-deleted"}')
    assert demo_key_store(simulator, tmp_path) == "cks-deleted"
    assert (simulator.key_stores(), _clusters(simulator)) == ([], [])


def test_registry_in_use_gets_none(simulator: Simulator, tmp_path: Path) -> None:
    """Where there are clusters already there will never be a demo, even after they are gone."""
    cluster = simulator.manage("POST", "clusters", **simulator.scope)["CloudHsmClusterId"]
    assert demo_key_store(simulator, tmp_path) is None
    simulator.manage("DELETE", "clusters", cluster)
    assert demo_key_store(simulator, tmp_path) is None
    assert simulator.key_stores() == []


def test_marker_that_cannot_be_read(simulator: Simulator, tmp_path: Path) -> None:
    """A damaged marker still says that there has been a first start."""
    (tmp_path / MARKER).write_text("{")
    assert demo_key_store(simulator, tmp_path) is None
    assert simulator.key_stores() == []


def test_crash_before_the_cluster(simulator: Simulator, tmp_path: Path) -> None:
    """A start that was interrupted before it had made anything is begun again."""
    (tmp_path / MARKER).write_text(INTERRUPTED)
    assert _connected(simulator, demo_key_store(simulator, tmp_path))


def test_crash_after_the_cluster(simulator: Simulator, tmp_path: Path) -> None:
    """The cluster of an interrupted start is used, with a password that is known again."""
    cluster = simulator.manage("POST", "clusters", KmsuserPassword=PASSWORD, **simulator.scope)
    (tmp_path / MARKER).write_text(INTERRUPTED)
    assert _connected(simulator, demo_key_store(simulator, tmp_path))
    assert _clusters(simulator) == [cluster["CloudHsmClusterId"]]


def test_crash_after_the_store(simulator: Simulator, tmp_path: Path) -> None:
    """The key store of an interrupted start is connected, and stays the only one."""
    key_store_id = _make_store(simulator, NAME)
    (tmp_path / MARKER).write_text(INTERRUPTED)
    assert demo_key_store(simulator, tmp_path) == key_store_id
    assert _connected(simulator, key_store_id)
    assert (len(simulator.key_stores()), len(_clusters(simulator))) == (1, 1)


def test_crash_after_the_connect(simulator: Simulator, tmp_path: Path) -> None:
    """A key store that is connecting or connected is only written down."""
    key_store_id = _make_store(simulator, NAME)
    simulator.kms("ConnectCustomKeyStore", CustomKeyStoreId=key_store_id)
    (tmp_path / MARKER).write_text(INTERRUPTED)
    assert demo_key_store(simulator, tmp_path) == key_store_id
    assert _connected(simulator, key_store_id)


def _welcome(server: Server) -> str:
    for _ in pauses(20):
        if "Ctrl-C stops it" in server.log:
            return server.log
    raise AssertionError(server.log)


def test_welcome(tmp_path: Path) -> None:
    """`serve` shows the demo connected, lines to paste, and bytes; the second start shows the same store."""
    data_dir = tmp_path / "data"
    with running(data_dir, "--demo") as server:
        first = _welcome(server)
        [store] = server.kms().describe_custom_key_stores()["CustomKeyStores"]
        key_store_id = store["CustomKeyStoreId"]
        server.stop()
        server.data_dir.with_suffix(".log").write_text("")
        server.start()
        second = _welcome(server)
    for shown in (first, second):
        assert f"serves AWS KMS custom key stores at {server.endpoint}\n" in shown
        assert f"{key_store_id}  demo  CONNECTED\n" in shown
        assert f"--custom-key-store-id {key_store_id} " in shown
        assert f'CustomKeyStoreId="{key_store_id}"' in shown
    assert f"hsmstore: demo key store {key_store_id} CONNECTING\n" in first
    assert "\x1b" not in first + second
