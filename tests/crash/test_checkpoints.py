"""A kill at every named instant: the next process takes up what was under way, and loses nothing.

Each test has a copy of one estate, of a server that was stopped: a CONNECTED store, and a spare cluster.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from hsmstore.domain.checkpoints import Checkpoint
from hsmstore.hsm.directory import BACKUP, ClusterDirectory
from tests.crash.scene import Mortal, copied, doctor, mortal, only
from tests.server import PASSWORD, running

CONNECT_TAKES: Final = 1200  # seconds, in the profile aws
IN_A_CONNECT: Final = (  # and after its answer, where connecting takes its time
    Checkpoint.LOGGED_IN,
    Checkpoint.PASSWORD_PENDING,
    Checkpoint.PASSWORD_SET,
    Checkpoint.PASSWORD_COMMITTED,
    Checkpoint.CONNECTED,
)


class Estate(NamedTuple):
    """A data directory, and what is in it."""

    data_dir: Path
    key_store_id: str
    cluster_id: str
    spare_cluster_id: str

    @property
    def home(self) -> ClusterDirectory:
        """The directory of the store's cluster."""
        return ClusterDirectory(self.data_dir / "hsm" / self.cluster_id)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Estate:
    """Make the estate that every test has a copy of."""
    with running(tmp_path_factory.mktemp("template") / "data", "--profile", "instant") as server:
        cluster, spare = server.new_cluster(), server.new_cluster()
        key_store_id = server.new_store("store", cluster)
        server.kms().connect_custom_key_store(CustomKeyStoreId=key_store_id)
    return Estate(server.data_dir, key_store_id, cluster["CloudHsmClusterId"], spare["CloudHsmClusterId"])


@pytest.fixture
def estate(template: Estate, tmp_path: Path) -> Estate:
    """Return the test's own copy."""
    return template._replace(data_dir=copied(template.data_dir, tmp_path / "data"))


@pytest.fixture
def server(estate: Estate) -> Iterator[Mortal]:
    """Return a server for the estate, not yet started, and kill it at the end."""
    with mortal(estate.data_dir, "--profile", "instant") as server:
        yield server


def create(server: Mortal, _: Estate) -> None:
    """Create a cluster."""
    server.new_cluster()


def delete(server: Mortal, estate: Estate) -> None:
    """Delete the cluster that no store needs."""
    server.manage("DELETE", f"/clusters/{estate.spare_cluster_id}")


def connect(server: Mortal, estate: Estate) -> None:
    """Connect the store, which must be disconnected first."""
    server.disconnect(estate.key_store_id)
    server.ask("ConnectCustomKeyStore", estate.key_store_id)


def disconnect(server: Mortal, estate: Estate) -> None:
    """Disconnect the store."""
    server.ask("DisconnectCustomKeyStore", estate.key_store_id)


def create_key(server: Mortal, estate: Estate) -> None:
    """Make a key in the store."""
    server.create_key(estate.key_store_id)


def delete_key(server: Mortal, estate: Estate) -> None:
    """Make a key, and let the time pass at which it is to be deleted."""
    key = {"KeyId": server.create_key(estate.key_store_id), "PendingWindowInDays": 7}
    assert server.call("ScheduleKeyDeletion", key).status == 200
    server.manage("POST", "/clock/advance", {"Seconds": 7 * 86_400 + 1})


class Passage(NamedTuple):
    """What leads past a checkpoint, and where the store is in the end if the process dies there."""

    drive: Callable[[Mortal, Estate], None]
    state: str = "CONNECTED"


PASSAGES: Final = dict.fromkeys([Checkpoint.CONNECTING, *IN_A_CONNECT], Passage(connect)) | {
    Checkpoint.TOKEN_MADE: Passage(create),
    Checkpoint.CLUSTER_FORGOTTEN: Passage(delete),
    Checkpoint.GATE_SHUT: Passage(disconnect),  # nothing was said yet, in the registry or to the client
    Checkpoint.DISCONNECTING: Passage(disconnect, "DISCONNECTED"),
    Checkpoint.KEY_AHEAD: Passage(create_key),
    Checkpoint.KEY_MADE: Passage(create_key),
    Checkpoint.KEY_FORGOTTEN: Passage(delete_key),
}
LITTER: Final = {Checkpoint.TOKEN_MADE, Checkpoint.CLUSTER_FORGOTTEN}


def require_working(server: Mortal, key_store_id: str) -> None:
    """See that a CONNECTED store gives bytes, and does so again after being disconnected, twice."""
    assert server.draw(key_store_id) != server.draw(key_store_id)
    for _ in range(2):
        server.disconnect(key_store_id)
        server.connect(key_store_id)


def require_nothing_else_wrong(server: Mortal) -> None:
    """See that doctor, once its mends have been done, has nothing to say, nor the server in its log."""
    server.kill()
    findings = doctor(server.data_dir)
    if findings.complaints:
        findings.mend()
        assert doctor(server.data_dir).complaints == []
    assert "Traceback" not in server.log
    assert "[warning" not in server.log
    assert "[error" not in server.log


@pytest.mark.parametrize("point", Checkpoint)
def test_a_kill(server: Mortal, estate: Estate, point: Checkpoint) -> None:
    """A process that dies in the middle of a request leaves a store that the next one brings to its end."""
    drive, state = PASSAGES[point]
    server.start("--crash-at", point)
    with pytest.raises(OSError, match=r"."):
        drive(server, estate)
    server.require_killed()
    server.start()
    assert server.state(estate.key_store_id) == state
    if state == "DISCONNECTED":
        server.connect(estate.key_store_id)
    require_working(server, estate.key_store_id)
    require_nothing_else_wrong(server)


@pytest.mark.parametrize("point", IN_A_CONNECT)
def test_a_kill_after_the_answer(server: Mortal, estate: Estate, point: Checkpoint) -> None:
    """A Connect that was answered ends in CONNECTED, though two processes in a row die there."""
    server.start("--profile", "aws", "--crash-at", point)
    server.ask("DisconnectCustomKeyStore", estate.key_store_id)
    server.manage("POST", "/clock/advance", {"Seconds": CONNECT_TAKES})
    assert server.state(estate.key_store_id) == "DISCONNECTED"
    server.ask("ConnectCustomKeyStore", estate.key_store_id)
    with pytest.raises(OSError, match=r"."):
        server.manage("POST", "/clock/advance", {"Seconds": CONNECT_TAKES})
    server.require_killed()
    if point is not Checkpoint.CONNECTED:  # the row says so: nothing is left to be done again
        server.spawn("--crash-at", point)
        server.require_killed()
    server.start()
    assert server.state(estate.key_store_id) == "CONNECTED"
    require_working(server, estate.key_store_id)
    require_nothing_else_wrong(server)


def test_every_checkpoint_is_passed() -> None:
    """There is a way past each instant that the services name."""
    assert set(PASSAGES) == set(Checkpoint)


@pytest.mark.parametrize("point", sorted(LITTER))
def test_a_token_without_a_row(server: Mortal, estate: Estate, point: Checkpoint) -> None:
    """Doctor finds the token of a cluster that the registry does not know, and how to be rid of it."""
    server.start("--crash-at", point)
    assert server.draw(estate.key_store_id), "a kill while logging in would leave a copy of the module"
    known = {cluster["CloudHsmClusterId"] for cluster in server.manage("GET", "/clusters")[1]["Clusters"]}
    with pytest.raises(OSError, match=r"."):
        PASSAGES[point].drive(server, estate)
    server.require_killed()
    findings = doctor(estate.data_dir)
    litter = only(findings.complaints)
    assert litter["detail"] == "belongs to no cluster in the registry"
    path = estate.data_dir / "hsm" / litter["subject"]
    assert litter["mend"] == f"rm -r {path}"
    assert path.is_dir()
    assert (litter["subject"] == estate.spare_cluster_id) is (point is Checkpoint.CLUSTER_FORGOTTEN)
    assert (litter["subject"] in known) is (point is Checkpoint.CLUSTER_FORGOTTEN)
    findings.mend()
    assert doctor(estate.data_dir).complaints == []


@pytest.mark.parametrize("point", [Checkpoint.KEY_AHEAD, Checkpoint.KEY_MADE, Checkpoint.KEY_FORGOTTEN])
def test_key_material_without_a_key(server: Mortal, estate: Estate, point: Checkpoint) -> None:
    """A kill leaves no key without its material; doctor finds what may be left, and destroys it."""
    server.start("--crash-at", point)
    with pytest.raises(OSError, match=r"."):
        PASSAGES[point].drive(server, estate)
    server.require_killed()
    litter = only(doctor(estate.data_dir).complaints)
    assert litter["subject"].startswith("arn:aws:kms:us-east-1:000000000000:key/")
    assert f"may be left on {estate.cluster_id}" in litter["detail"]
    assert ("was never finished" in litter["detail"]) is (point is not Checkpoint.KEY_FORGOTTEN)
    assert litter["mend"] == "hsmstore doctor --fix"
    left = 0 if point is Checkpoint.KEY_AHEAD else 1
    assert token_objects(estate) == left
    assert doctor(estate.data_dir, "--fix").complaints == []
    assert token_objects(estate) == 0
    server.start()
    assert json.loads(server.call("ListKeys", {}).body)["Keys"] == []
    server.create_key(estate.key_store_id)
    require_nothing_else_wrong(server)


def token_objects(estate: Estate) -> int:
    """Return how many objects SoftHSM2 keeps on the token of the store's cluster."""
    objects = list(estate.home.path.glob("tokens/*/*.object"))
    return len([path for path in objects if path.name != "token.object"])


def test_a_row_without_a_token(server: Mortal, estate: Estate) -> None:
    """Doctor finds a cluster whose token is gone; deleting it is a mend, as doctor says."""
    shutil.rmtree(estate.data_dir / "hsm" / estate.spare_cluster_id)
    lost = only(doctor(estate.data_dir).complaints)
    assert (lost["subject"], lost["detail"]) == (estate.spare_cluster_id, "its directory is gone")
    assert lost["mend"].endswith(", or delete the cluster")
    server.start()
    assert server.draw(estate.key_store_id)
    assert server.manage("DELETE", f"/clusters/{estate.spare_cluster_id}")[0] == 200
    require_nothing_else_wrong(server)


def test_an_emptied_token(server: Mortal, estate: Estate) -> None:
    """Doctor finds a token.object that a kill in C_Login has emptied, and the next login mends it."""
    token_object = estate.home.token_object()
    assert token_object is not None
    token_object.write_bytes(b"")
    emptied = only(doctor(estate.data_dir).complaints)
    assert (emptied["subject"], emptied["mend"]) == (
        estate.cluster_id,
        "connect: its copy is then put back",
    )
    server.start()
    require_working(server, estate.key_store_id)
    require_nothing_else_wrong(server)


def test_a_copy_that_is_behind(server: Mortal, estate: Estate) -> None:
    """Three kills in a row, and the password is there: before the copy was made, after C_Login, in C_SetPIN.

    The first leaves token.object with the new password and its copy with the old one; by the second the
    registry has forgotten the old one; the third empties token.object.
    """
    behind = (estate.home.path / BACKUP).read_bytes()
    server.start("--crash-at", Checkpoint.PASSWORD_SET)
    with pytest.raises(OSError, match=r"."):
        connect(server, estate)
    server.require_killed()
    assert (estate.home.path / BACKUP).read_bytes() != behind
    (estate.home.path / BACKUP).write_bytes(behind)
    server.spawn("--crash-at", Checkpoint.PASSWORD_PENDING)
    server.require_killed()
    token_object = estate.home.token_object()
    assert token_object is not None
    token_object.write_bytes(b"")
    server.start()
    assert server.state(estate.key_store_id) == "CONNECTED"
    require_working(server, estate.key_store_id)
    require_nothing_else_wrong(server)


def test_a_kill_while_kmsuser_is_logged_in_elsewhere(server: Mortal, estate: Estate) -> None:
    """The session of kmsuser in another process ends with its server, and is there again with the next."""
    server.start()
    session = f"/clusters/{estate.spare_cluster_id}/kmsuser"
    assert server.manage("POST", f"{session}/session")[0] == 200
    server.kill()
    server.start()
    assert server.manage("PUT", session, {"Password": PASSWORD})[0] == 400
    assert server.manage("DELETE", f"{session}/session")[0] == 200
    assert server.manage("PUT", session, {"Password": PASSWORD})[0] == 200
    require_nothing_else_wrong(server)


def test_a_backup_without_a_row_and_a_row_without_a_backup(server: Mortal, estate: Estate) -> None:
    """Doctor finds a copy that no backup in the registry owns, and a backup whose copy is gone."""
    server.start()
    status, backup = server.manage("POST", f"/clusters/{estate.spare_cluster_id}/backups")
    assert status == 200
    server.stop()
    assert doctor(estate.data_dir).complaints == []
    kept = estate.data_dir / "hsm" / backup["BackupId"]
    kept.rename(stray := kept.with_name("backup-aaaaaaaaaaa"))
    found = {complaint["subject"]: complaint["detail"] for complaint in doctor(estate.data_dir).complaints}
    assert found == {kept.name: "its directory is gone", stray.name: "belongs to no backup in the registry"}


@pytest.mark.sqlite
def test_no_litter_without_a_registry(estate: Estate) -> None:
    """Where the registry cannot be read, doctor calls no token litter: following its mends loses nothing."""
    (estate.data_dir / "registry.sqlite3").write_bytes(b"\xff" * 4096)
    complaints = doctor(estate.data_dir).complaints
    assert complaints
    assert not [complaint for complaint in complaints if "rm " in complaint["mend"]], complaints
