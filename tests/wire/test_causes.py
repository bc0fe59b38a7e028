"""Every documented reason why a connect fails: brought about, seen, mended as the documentation says."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server import PASSWORD, Server, running
from tests.wire.failing import NEW_PASSWORD, Played
from tests.wire.refusals import code


@pytest.mark.aws_documented
def test_invalid_credentials(server: Server) -> None:
    """A password changed behind KMS's back is INVALID_CREDENTIALS, until KMS is told the new one."""
    played = Played(server, "invalid-credentials")
    played.works()
    played.disconnect()
    played.set_password()
    played.fails("INVALID_CREDENTIALS")
    played.fails("INVALID_CREDENTIALS")
    played.update(KeyStorePassword=NEW_PASSWORD)
    played.works()


@pytest.mark.aws_documented
def test_user_locked_out(server: Server) -> None:
    """After five wrong passwords even the right one is USER_LOCKED_OUT; the crypto officer's reset heals."""
    played = Played(server, "user-locked-out")
    played.update(KeyStorePassword="wrongPassword1")
    for _ in range(5):
        played.fails("INVALID_CREDENTIALS")
    played.fails("USER_LOCKED_OUT")
    played.update(KeyStorePassword=PASSWORD)
    played.fails("USER_LOCKED_OUT")
    path = f"/clusters/{played.cluster_id}/kmsuser/session"
    assert server.manage("POST", path)[0] == 400
    played.manage("DELETE", "/kmsuser/session")
    played.set_network(reachable=False)
    played.set_network(reachable=True)
    played.fails("USER_LOCKED_OUT")
    played.set_password()
    played.update(KeyStorePassword=NEW_PASSWORD)
    played.works()


@pytest.mark.inferred(
    reason="Five in a row is CloudHSM's documented limit; that a right one starts anew, our guess."
)
def test_a_right_password_starts_the_count_anew(server: Server) -> None:
    """Four wrong passwords, a right one and four wrong ones lock nobody out."""
    played = Played(server, "count-anew")
    for _ in range(2):
        played.update(KeyStorePassword="wrongPassword1")
        for _ in range(4):
            played.fails("INVALID_CREDENTIALS")
        played.set_password()
        played.update(KeyStorePassword=NEW_PASSWORD)
        played.works()
        played.disconnect()


@pytest.mark.aws_documented
def test_user_logged_in(server: Server) -> None:
    """While kmsuser is logged in from elsewhere a connect is USER_LOGGED_IN; a logout heals."""
    played = Played(server, "user-logged-in")
    assert played.manage("POST", "/kmsuser/session")["KmsuserLoggedInElsewhere"] is True
    played.fails("USER_LOGGED_IN")
    assert played.manage("DELETE", "/kmsuser/session")["KmsuserLoggedInElsewhere"] is False
    played.works()
    path = f"/clusters/{played.cluster_id}/kmsuser/session"
    assert server.manage("POST", path)[0] == 400  # KMS is logged in now
    assert played.draw()


@pytest.mark.aws_documented
def test_user_not_found(server: Server) -> None:
    """A deleted kmsuser is USER_NOT_FOUND; one created anew, of which KMS is told, is found."""
    played = Played(server, "user-not-found")
    played.manage("DELETE", "/kmsuser")
    played.fails("USER_NOT_FOUND")
    played.manage("POST", "/kmsuser", {"Password": NEW_PASSWORD})
    played.update(KeyStorePassword=NEW_PASSWORD)
    played.works()


@pytest.mark.aws_recorded
def test_user_missing_on_one_hsm(server: Server) -> None:
    """A kmsuser that one of two HSMs lacks is USER_NOT_FOUND; created there as well, it is found."""
    played = Played(server, "user-on-one-hsm")
    played.manage("DELETE", f"/kmsuser?HsmId={played.hsms[1]}")
    played.fails("USER_NOT_FOUND")
    played.manage("POST", "/kmsuser", {"Password": NEW_PASSWORD, "HsmId": played.hsms[1]})
    played.update(KeyStorePassword=NEW_PASSWORD)
    played.works()


@pytest.mark.aws_documented
def test_insufficient_hsms(server: Server) -> None:
    """Without an active HSM a connect is INSUFFICIENT_CLOUDHSM_HSMS; one is enough."""
    played = Played(server, "insufficient-hsms")
    played.stop_hsms()
    played.fails("INSUFFICIENT_CLOUDHSM_HSMS")
    played.manage("POST", f"/hsms/{played.hsms[0]}/start")
    played.works()


@pytest.mark.aws_documented
def test_all_hsms_deleted(server: Server) -> None:
    """A cluster whose last HSM was deleted keeps keys and users for the next one that is added."""
    played = Played(server, "all-hsms-deleted")
    for hsm in played.hsms:
        played.manage("DELETE", f"/hsms/{hsm}")
    assert played.manage("GET")["Hsms"] == []
    played.fails("INSUFFICIENT_CLOUDHSM_HSMS")
    (added,) = played.manage("POST", "/hsms")["Hsms"]
    assert (added["State"], added["HasKmsuser"]) == ("ACTIVE", True)
    played.works()


@pytest.mark.aws_documented
def test_cluster_not_found(server: Server) -> None:
    """A deleted cluster is CLUSTER_NOT_FOUND; its backup's cluster, named by an update, takes its place."""
    played = Played(server, "cluster-not-found")
    backup = played.back_up()
    played.manage("DELETE")
    played.fails("CLUSTER_NOT_FOUND")
    played.use(played.restore(backup))
    played.works()


@pytest.mark.aws_documented
def test_network_errors(server: Server) -> None:
    """A network that is cut is NETWORK_ERRORS, until it is restored."""
    played = Played(server, "network-errors")
    played.set_network(reachable=False)
    played.fails("NETWORK_ERRORS")
    played.set_network(reachable=True)
    played.works()


@pytest.mark.aws_documented
def test_subnet_not_found(server: Server) -> None:
    """A deleted subnet is SUBNET_NOT_FOUND; a cluster from a backup, in new subnets, heals."""
    played = Played(server, "subnet-not-found")
    played.set_subnet(Exists=False)
    played.fails("SUBNET_NOT_FOUND")
    played.use(played.restore(played.back_up()))
    played.works()


@pytest.mark.aws_documented
def test_no_free_addresses(server: Server) -> None:
    """A full subnet is INSUFFICIENT_FREE_ADDRESSES_IN_SUBNET; freeing an address heals."""
    played = Played(server, "no-free-addresses")
    played.set_subnet(FreeAddresses=0)
    played.fails("INSUFFICIENT_FREE_ADDRESSES_IN_SUBNET")
    played.set_subnet(FreeAddresses=1)
    played.works()


@pytest.mark.aws_documented
def test_internal_error(tmp_path: Path) -> None:
    """A module that cannot be loaded is INTERNAL_ERROR; with a sound one the same key store connects."""
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"this is no PKCS#11 module")
    with running(tmp_path / "data", "--profile", "instant") as server:
        played = Played(server, "internal-error")
        server.stop()
        server.start("--pkcs11-module", str(broken))
        played.fails("INTERNAL_ERROR")
        assert str(broken) in server.log
        server.stop()
        server.start()
        played.works()


@pytest.mark.aws_documented
def test_internal_error_of_the_token(server: Server) -> None:
    """A token whose configuration cannot be written is INTERNAL_ERROR, and heals with it."""
    played = Played(server, "internal-error-token")
    configuration = played.home / "softhsm2.conf"
    with played.away(configuration):
        configuration.mkdir()
        played.fails("INTERNAL_ERROR")
        configuration.rmdir()
    played.works()


# A token behind a network, served by a process that can be killed.


class Remote:
    """A p11-kit server over a cluster's token."""

    def __init__(self, socket: Path, played: Played) -> None:
        self.socket = socket
        self.configuration = played.home / "softhsm2.conf"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        self.socket.unlink(missing_ok=True)
        command = ["p11-kit", "server", "--foreground", "--name", str(self.socket), "--provider"]
        self.process = subprocess.Popen(
            [*command, "/usr/lib/softhsm/libsofthsm2.so", "pkcs11:"],
            env={"SOFTHSM2_CONF": str(self.configuration), "PATH": "/usr/bin"},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        while not self.socket.is_socket():
            threading.Event().wait(0.01)

    def kill(self) -> None:
        """Kill it with the processes of its connections."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def remote(tmp_path: Path, server: Server) -> Iterator[Remote]:
    """Give a token server over the token of a cluster that no key store uses."""
    remote = Remote(tmp_path / "socket", Played(server, f"token-of-{tmp_path.name}"))
    remote.start()
    yield remote
    remote.kill()


@pytest.mark.aws_documented
def test_network_errors_of_a_killed_token_server(
    tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token server that is killed is NETWORK_ERRORS, before a connect as after it, and heals by itself."""
    monkeypatch.setenv("P11_KIT_SERVER_ADDRESS", f"unix:path={remote.socket}")
    with running(tmp_path / "data", "--profile", "instant") as server:
        played = Played(server, "remote", Pkcs11Profile="p11-kit", KmsuserPassword=None)
        played.works()
        remote.kill()
        played.stays_connected_and_fails()
        played.disconnect()
        played.fails("NETWORK_ERRORS")
        remote.start()
        played.works()
        remote.kill()
        played.stays_connected_and_fails(1)
        remote.start()
        assert len(played.draw()) == 16


# What Create and Update find out at once.


def create(server: Server, name: str, cluster: Any, anchor: str | None = None) -> str:
    """Try to create a key store; return the exception."""
    return code(
        server.kms().create_custom_key_store,
        CustomKeyStoreName=name,
        CloudHsmClusterId=cluster["CloudHsmClusterId"],
        TrustAnchorCertificate=anchor or cluster["TrustAnchorCertificate"],
        KeyStorePassword=PASSWORD,
    )


@pytest.mark.aws_documented
def test_cluster_not_active(server: Server) -> None:
    """A cluster that was never initialised is refused, and fit once it has HSMs in two zones."""
    cluster = server.new_cluster(HsmCount=0)
    assert create(server, "not-active", cluster) == "CloudHsmClusterNotActiveException"
    path = f"/clusters/{cluster['CloudHsmClusterId']}/hsms"
    assert server.manage("POST", path)[1]["State"] == "ACTIVE"
    assert create(server, "not-active", cluster) == "CloudHsmClusterInvalidConfigurationException"
    assert server.manage("POST", path)[0] == 200
    assert server.new_store("not-active", cluster)


@pytest.mark.aws_documented
def test_too_few_zones(server: Server) -> None:
    """Two HSMs in one Availability Zone are too few zones."""
    cluster = server.new_cluster(HsmCount=1)
    zone = cluster["Hsms"][0]["AvailabilityZone"]
    path = f"/clusters/{cluster['CloudHsmClusterId']}/hsms"
    assert server.manage("POST", path, {"AvailabilityZone": zone})[0] == 200
    assert create(server, "one-zone", cluster) == "CloudHsmClusterInvalidConfigurationException"


@pytest.mark.aws_documented
def test_stopped_hsms_do_not_count(server: Server) -> None:
    """An HSM that does not answer is none of the two that a new key store needs."""
    cluster = server.new_cluster()
    path = f"/clusters/{cluster['CloudHsmClusterId']}/hsms/{cluster['Hsms'][0]['HsmId']}"
    assert server.manage("POST", f"{path}/stop")[0] == 200
    assert create(server, "stopped", cluster) == "CloudHsmClusterInvalidConfigurationException"
    assert server.manage("POST", f"{path}/start")[0] == 200
    assert server.new_store("stopped", cluster)


@pytest.mark.aws_documented
def test_incorrect_trust_anchor(server: Server) -> None:
    """The certificate of another cluster is not this one's trust anchor."""
    other = server.new_cluster()["TrustAnchorCertificate"]
    assert create(server, "anchor", server.new_cluster(), other) == "IncorrectTrustAnchorException"


@pytest.mark.aws_documented
def test_cluster_not_related(server: Server) -> None:
    """A key store cannot move to a cluster with another certificate, and stays where it was."""
    played = Played(server, "not-related")
    stranger = server.new_cluster()["CloudHsmClusterId"]
    update = {"CustomKeyStoreId": played.store, "CloudHsmClusterId": stranger}
    assert code(played.kms.update_custom_key_store, **update) == "CloudHsmClusterNotRelatedException"
    played.works()


@pytest.mark.aws_documented
def test_cluster_in_use(server: Server) -> None:
    """A cluster, one restored from its backup, and one whose original was deleted, are in use."""
    played = Played(server, "cluster-in-use")
    restored = played.restore(played.back_up())
    assert create(server, "cluster-in-use-2", played.cluster) == "CloudHsmClusterInUseException"
    assert create(server, "cluster-in-use-2", restored) == "CloudHsmClusterInUseException"
    played.manage("DELETE")
    assert create(server, "cluster-in-use-2", restored) == "CloudHsmClusterInUseException"
    played.kms.delete_custom_key_store(CustomKeyStoreId=played.store)
    assert server.new_store("cluster-in-use-2", restored)


@pytest.mark.aws_documented
def test_moving_to_a_restored_cluster(server: Server) -> None:
    """A key store moves to a cluster from its own backup, which needs two HSMs, and draws there."""
    played = Played(server, "moving-to-a-backup")
    played.works()
    backup = played.back_up()  # with the password that KMS has set
    small = played.restore(backup, HsmCount=1)
    update = {"CustomKeyStoreId": played.store, "CloudHsmClusterId": small["CloudHsmClusterId"]}
    assert code(played.kms.update_custom_key_store, **update) == "CustomKeyStoreInvalidStateException"
    played.disconnect()
    assert (
        code(played.kms.update_custom_key_store, **update) == "CloudHsmClusterInvalidConfigurationException"
    )
    played.use(played.restore(backup))
    played.works()


@pytest.mark.aws_documented
def test_a_backup_knows_the_password_of_its_time(server: Server) -> None:
    """A cluster from a backup older than the last rotation wants the password of then."""
    played = Played(server, "old-backup")
    backup = played.back_up()
    played.works()
    played.disconnect()
    played.use(played.restore(backup))
    played.fails("INVALID_CREDENTIALS")
    played.update(KeyStorePassword=PASSWORD)
    played.works()
