"""Every outcome of a connect, brought about by what really causes it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hsmstore.domain.cluster import Cluster
from hsmstore.domain.keystore import ConnectionErrorCode
from hsmstore.domain.mechanisms import AES_GCM, AES_KEY_GEN, lacking_for_keys
from hsmstore.domain.ports import ConnectFailed
from hsmstore.hsm.pkcs11_hsm import Pkcs11Hsm
from tests.hsm.conftest import OTHER_CLUSTER_ID, PASSWORD, SO_PIN, Bench, Ticker, cluster_of

HOLD_LOCK = """
import fcntl, sys
file = open(sys.argv[1], "ab")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


def refusal(bench: Bench, cluster: Cluster, password: str = PASSWORD, *, code: ConnectionErrorCode) -> str:
    """Return the reason with which a connect fails with `code`."""
    with pytest.raises(ConnectFailed) as refused:
        bench.connect(cluster, password)
    assert refused.value.code is code
    assert "\n" not in refused.value.reason
    return refused.value.reason


def test_a_connection_draws_what_is_asked_for(bench: Bench) -> None:
    """A connected cluster gives as many bytes as asked for, and never the same twice."""
    connection = bench.connect(bench.create())
    drawn = [connection.draw(length) for length in (1, 32, 1023, 1024, 1024)]
    assert [len(octets) for octets in drawn] == [1, 32, 1023, 1024, 1024]
    assert drawn[3] != drawn[4]


@pytest.mark.parametrize("password", ["wrong-one", "", "é" * 20, "x" * 300])
def test_a_wrong_password(bench: Bench, password: str) -> None:
    """A password that does not fit is INVALID_CREDENTIALS, in PKCS#11's words and without the password."""
    reason = refusal(bench, bench.create(), password, code=ConnectionErrorCode.INVALID_CREDENTIALS)
    assert "CKR_PIN_" in reason or "CKR_ARGUMENTS_BAD" in reason
    assert not password or password not in reason


def test_a_refused_connect_leaves_nothing_behind(bench: Bench) -> None:
    """After a wrong password the right one connects: lock, session and module were given back."""
    cluster = bench.create()
    refusal(bench, cluster, "wrong-one", code=ConnectionErrorCode.INVALID_CREDENTIALS)
    assert bench.connect(cluster).draw(8)


def test_no_kmsuser(bench: Bench) -> None:
    """A token whose user PIN was never set is USER_NOT_FOUND."""
    reason = refusal(bench, bench.create(password=None), code=ConnectionErrorCode.USER_NOT_FOUND)
    assert "CKR_USER_PIN_NOT_INITIALIZED" in reason


def test_the_cluster_directory_is_gone(bench: Bench) -> None:
    """Without its directory the cluster is CLUSTER_NOT_FOUND."""
    cluster = bench.create()
    bench.hsm.delete_token(cluster)
    refusal(bench, cluster, code=ConnectionErrorCode.CLUSTER_NOT_FOUND)


def test_a_cluster_without_a_token(bench: Bench) -> None:
    """A cluster that was never given a token is CLUSTER_NOT_FOUND."""
    refusal(bench, cluster_of(None), code=ConnectionErrorCode.CLUSTER_NOT_FOUND)


def test_the_token_is_deleted(bench: Bench) -> None:
    """A token that was deleted is INSUFFICIENT_CLOUDHSM_HSMS, and no copy of it is put back."""
    cluster = bench.create()
    shutil.rmtree(bench.token_object(cluster).parent)
    refusal(bench, cluster, code=ConnectionErrorCode.INSUFFICIENT_CLOUDHSM_HSMS)


def test_the_token_directory_is_deleted(bench: Bench) -> None:
    """The same where all of SoftHSM2's directory is gone, which SoftHSM2 itself calls a general error."""
    cluster = bench.create()
    shutil.rmtree(bench.home(cluster) / "tokens")
    refusal(bench, cluster, code=ConnectionErrorCode.INSUFFICIENT_CLOUDHSM_HSMS)


def test_a_namesake_is_not_the_token(bench: Bench) -> None:
    """A token of the same label but another serial is INSUFFICIENT_CLOUDHSM_HSMS."""
    cluster = bench.create()
    shutil.rmtree(bench.home(cluster))
    bench.create()
    refusal(bench, cluster, code=ConnectionErrorCode.INSUFFICIENT_CLOUDHSM_HSMS)


def test_the_token_is_moved_and_moved_back(bench: Bench, tmp_path: Path) -> None:
    """A token that comes back from where it was moved connects again."""
    cluster = bench.create()
    home = bench.token_object(cluster).parent
    moved = home.rename(tmp_path / "elsewhere")
    refusal(bench, cluster, code=ConnectionErrorCode.INSUFFICIENT_CLOUDHSM_HSMS)
    moved.rename(home)
    assert bench.connect(cluster).draw(8)


def test_kmsuser_is_logged_in_from_another_process(bench: Bench) -> None:
    """While another process holds kmsuser.lck it is USER_LOGGED_IN, whatever the password; then no longer."""
    cluster = bench.create()
    lock = str(bench.home(cluster) / "kmsuser.lck")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        refusal(bench, cluster, code=ConnectionErrorCode.USER_LOGGED_IN)
        refusal(bench, cluster, "wrong-one", code=ConnectionErrorCode.USER_LOGGED_IN)
        other.communicate()
    assert bench.connect(cluster).draw(8)


def test_kmsuser_is_logged_in_from_this_process(bench: Bench) -> None:
    """A second connection to a cluster is USER_LOGGED_IN, and leaves the first one alone."""
    cluster = bench.create()
    first = bench.connect(cluster)
    refusal(bench, cluster, code=ConnectionErrorCode.USER_LOGGED_IN)
    assert first.draw(8)


def test_the_data_directory_may_move(bench: Bench, tmp_path: Path) -> None:
    """A data directory that was moved works where it is now: the configuration is written anew."""
    cluster = bench.create()
    moved = bench.directory.rename(tmp_path / "moved é")
    connection = Pkcs11Hsm(moved, Ticker()).connect(cluster, PASSWORD)
    assert connection.draw(8)
    connection.close()


def test_the_environment_points_elsewhere(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SOFTHSM2_CONF of the user's own neither matters nor gets lost."""
    monkeypatch.setenv("SOFTHSM2_CONF", "/nonexistent/softhsm2.conf")
    assert bench.connect(bench.create()).draw(8)
    child = "import os; print(os.environ['SOFTHSM2_CONF'])"
    told = subprocess.run([sys.executable, "-c", child], capture_output=True, check=True, text=True)
    assert told.stdout == "/nonexistent/softhsm2.conf\n"


def test_the_module_is_gone_at_connect(bench: Bench) -> None:
    """A module path that leads nowhere is INTERNAL_ERROR, and the reason says which path."""
    cluster = bench.create()
    with pytest.raises(ConnectFailed, match=r"/nowhere/lib\.so is not there") as refused:
        Pkcs11Hsm(bench.directory, Ticker(), module="/nowhere/lib.so").connect(cluster, PASSWORD)
    assert refused.value.code is ConnectionErrorCode.INTERNAL_ERROR


def test_a_file_where_the_lock_should_be(bench: Bench) -> None:
    """A file system that does not cooperate is INTERNAL_ERROR with the file's name, not a traceback."""
    cluster = bench.create()
    (bench.home(cluster) / "token.lck").unlink(missing_ok=True)
    (bench.home(cluster) / "token.lck").mkdir()
    assert "token.lck" in refusal(bench, cluster, code=ConnectionErrorCode.INTERNAL_ERROR)


def test_a_pin_changed_behind_our_back(bench: Bench) -> None:
    """A password changed with another tool: the old one is refused at the next connect, the new one fits."""
    cluster = bench.create()
    connection = bench.connect(cluster)
    change_pin(bench, OTHER_PASSWORD)
    assert connection.draw(8)  # the session is open, as it would be on a real HSM
    connection.close()
    refusal(bench, cluster, code=ConnectionErrorCode.INVALID_CREDENTIALS)
    assert bench.connect(cluster, OTHER_PASSWORD).draw(8)


def test_a_password_reset_by_another_tool(bench: Bench) -> None:
    """The same where the crypto officer has set it with pkcs11-tool."""
    cluster = bench.create()
    pkcs11_tool(
        bench, "--login", "--login-type", "so", "--init-pin", "--so-pin", SO_PIN, "--new-pin", OTHER_PASSWORD
    )
    refusal(bench, cluster, code=ConnectionErrorCode.INVALID_CREDENTIALS)
    assert bench.connect(cluster, OTHER_PASSWORD).draw(8)


OTHER_PASSWORD = "otherPswd456"


def change_pin(bench: Bench, password: str) -> None:
    """Change kmsuser's PIN from another process."""
    pkcs11_tool(bench, "--login", "--pin", PASSWORD, "--change-pin", "--new-pin", password)


def pkcs11_tool(bench: Bench, *arguments: str) -> None:
    """Run OpenSC's pkcs11-tool on the only cluster's token."""
    (configuration,) = bench.directory.glob("cluster-*/softhsm2.conf")
    module = "/usr/lib/softhsm/libsofthsm2.so"
    subprocess.run(
        ["/usr/bin/pkcs11-tool", "--module", module, *arguments],
        check=True,
        capture_output=True,
        env={"SOFTHSM2_CONF": str(configuration)},
    )


def test_two_clusters_are_independent(bench: Bench) -> None:
    """Breaking and closing one cluster's token leaves the other one drawing."""
    first, second = bench.create(), bench.create(OTHER_CLUSTER_ID)
    to_first, to_second = bench.connect(first), bench.connect(second)
    shutil.rmtree(bench.home(first))
    bench.ticker.seconds += 10
    assert to_second.draw(8)
    to_first.close()
    assert to_second.draw(8)
    refusal(bench, first, code=ConnectionErrorCode.CLUSTER_NOT_FOUND)
    assert to_second.draw(8)


def test_a_connection_tells_what_the_token_offers(bench: Bench) -> None:
    """What the module can do is asked for once, at the connect, and known by PKCS#11's names."""
    connection = bench.connect(bench.create())
    assert {AES_KEY_GEN, AES_GCM} <= connection.mechanisms
    assert lacking_for_keys(connection.mechanisms) is None
