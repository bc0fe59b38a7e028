"""`hsm serve`: several clients of one token, who take turns at its files."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsmstore.domain.cluster import Cluster
from hsmstore.domain.ports import ConnectFailed, HsmUnavailable
from hsmstore.hsm.pkcs11_hsm import Pkcs11Hsm
from hsmstore.hsm.profile import load_profile
from hsmstore.hsm.tokenfile import is_whole
from hsmstore.system.clock import monotonic
from tests.hsm.conftest import CLUSTER_ID, OTHER_CLUSTER_ID, cluster_of
from tests.served import ServedHsm, served

LOGINS = 20  # for each client; with a process for each, as `p11-kit server` forks them, one in nine failed
CHANGES = 10  # of the password meanwhile; with such processes it was lost within five


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHsm]:
    """Give a served token; who changes kmsuser's password sets it back."""
    with served(tmp_path_factory.mktemp("served")) as hsm:
        yield hsm


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator[ServedHsm]:
    """Give a served token of the test's own, to be killed."""
    with served(tmp_path / "served") as hsm:
        yield hsm


class Replica:
    """An Hsm in a data directory of its own, as each replica has."""

    def __init__(self, directory: Path, token: ServedHsm, cluster_id: str = CLUSTER_ID) -> None:
        self.hsm = Pkcs11Hsm(directory, monotonic, deadline=30)
        self.cluster: Cluster = cluster_of(
            self.hsm.adopt_token(token.label, profile="p11-kit", address=token.address), cluster_id
        )


def test_logins_and_changes_of_the_password_at_once(token: ServedHsm, tmp_path: Path) -> None:
    """Nobody's login fails, and no password is lost, while three log in and one of them changes it."""
    replicas = [Replica(tmp_path / str(number), token) for number in range(3)]
    allowed = [token.password]  # the last one, or while it changes the last two
    failures: list[ConnectFailed] = []

    def log_in_again_and_again(replica: Replica) -> None:
        for _ in range(LOGINS):
            before = allowed[-2:]
            try:
                _connect(replica, before)
            except ConnectFailed as failure:
                if before == allowed[-2:]:
                    failures.append(failure)

    others = [threading.Thread(target=log_in_again_and_again, args=(replica,)) for replica in replicas[1:]]
    for thread in others:
        thread.start()
    for number in range(CHANGES):
        connection = replicas[0].hsm.connect(replicas[0].cluster, allowed[-1])
        allowed.append(f"changedPassword{number}")
        connection.set_password(*allowed[-2:])
        connection.close()
    for thread in others:
        thread.join()
    assert failures == []
    assert is_whole(token.token_object.read_bytes())
    replicas[1].hsm.connect(replicas[1].cluster, allowed[-1]).close()
    replicas[2].hsm.reset_password(replicas[2].cluster, token.officer_pin, token.password)


def _connect(replica: Replica, passwords: list[str]) -> None:
    *unsure, last = passwords
    for password in unsure:
        try:
            replica.hsm.connect(replica.cluster, password).close()
        except ConnectFailed:
            continue
        return
    replica.hsm.connect(replica.cluster, last).close()


def test_a_session_outlives_a_change_of_the_password(token: ServedHsm, tmp_path: Path) -> None:
    """Who is logged in stays so when another client changes the password; only the new one logs in then."""
    one, other = (Replica(tmp_path / name, token) for name in ("one", "other"))
    staying = one.hsm.connect(one.cluster, token.password)
    changing = other.hsm.connect(other.cluster, token.password)
    changing.set_password(token.password, "changedPassword")
    changing.close()
    assert staying.draw(32)
    staying.close()
    with pytest.raises(ConnectFailed, match="INVALID_CREDENTIALS"):
        one.hsm.connect(one.cluster, token.password)
    one.hsm.connect(one.cluster, "changedPassword").close()
    one.hsm.reset_password(one.cluster, token.officer_pin, token.password)
    one.hsm.connect(one.cluster, token.password).close()


def test_clusters_at_different_addresses(token: ServedHsm, tmp_path: Path) -> None:
    """One process reaches each cluster's token at the cluster's own address."""
    with served(tmp_path / "elsewhere", "--token", "other") as elsewhere:
        one = Replica(tmp_path / "replica", token)
        other = Replica(tmp_path / "replica", elsewhere, OTHER_CLUSTER_ID)
        first, second = (r.hsm.connect(r.cluster, t.password) for r, t in ((one, token), (other, elsewhere)))
        assert first.draw(8)
        elsewhere.stop(signal.SIGKILL)
        with pytest.raises(HsmUnavailable, match="CKR_DEVICE_ERROR"):
            second.draw(8)
        assert first.draw(8)
        first.close()
        second.close()


def test_a_token_cannot_be_replaced_from_afar(token: ServedHsm) -> None:
    """Who may use the token may not initialise it anew."""
    command = ["pkcs11-tool", "--module", str(load_profile("p11-kit").locate())]
    done = subprocess.run(
        [*command, "--init-token", "--slot-index", "0", "--label", "x", "--so-pin", token.officer_pin],
        env={"P11_KIT_SERVER_ADDRESS": token.address, "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "CKR_FUNCTION_NOT_SUPPORTED" in done.stderr


def test_a_kill_loses_no_password(doomed: ServedHsm, tmp_path: Path) -> None:
    """What a kill in C_Login leaves of the token's file is mended at the next start, password and all."""
    replica = Replica(tmp_path / "replica", doomed)
    connection = replica.hsm.connect(replica.cluster, doomed.password)
    connection.set_password(doomed.password, "changedPassword")
    doomed.stop(signal.SIGKILL)
    connection.close()
    doomed.token_object.write_bytes(b"")  # as C_Login leaves it for an instant
    doomed.start()
    replica.hsm.connect(replica.cluster, "changedPassword").close()


def test_the_end(doomed: ServedHsm, tmp_path: Path) -> None:
    """SIGTERM ends it in order, with clients connected; its socket goes with it."""
    replica = Replica(tmp_path / "replica", doomed)
    connection = replica.hsm.connect(replica.cluster, doomed.password)
    assert doomed.stop() == 0
    assert not doomed.socket.exists()
    with pytest.raises(HsmUnavailable):
        connection.draw(8)
    connection.close()


def test_one_owner(token: ServedHsm) -> None:
    """A token has one owner, and a socket one server: a second one ends with a line that says so."""
    command = [sys.executable, "-m", "hsmstore", "hsm", "serve", "--data-dir", str(token.data_dir)]
    outcomes = [
        subprocess.run([*command, *more], capture_output=True, text=True, check=False)
        for more in ([], ["--token", "other", "--socket", str(token.socket)])
    ]
    assert [outcome.returncode for outcome in outcomes] == [4, 4]
    assert "is owned by another server" in outcomes[0].stderr
    assert "somebody serves at" in outcomes[1].stderr
