"""Life while CONNECTED: what breaks behind a key store never moves its state, and what heals works again."""

from pathlib import Path

import pytest

from tests.registries import REGISTRIES
from tests.server import PASSWORD, Server, running
from tests.wire.failing import NEW_PASSWORD, Played

SO_PIN = "cryptoOfficer1"


@pytest.fixture
def played(server: Server, request: pytest.FixtureRequest) -> Played:
    """Give a connected key store, whose crypto officer's PIN is known."""
    played = Played(server, request.node.name, CryptoOfficerPin=SO_PIN)
    played.works()
    return played


@pytest.mark.aws_documented
def test_stopped_hsms(played: Played) -> None:
    """Without an active HSM calls fail and the state stays CONNECTED; with one of them all works again."""
    played.stop_hsms()
    played.stays_connected_and_fails()
    played.manage("POST", f"/hsms/{played.hsms[1]}/start")
    assert played.draw()
    played.start_hsms()
    assert played.draw()


@pytest.mark.aws_documented
def test_network_cut(played: Played) -> None:
    """The same with the network; Disconnect and Connect find out what is wrong."""
    played.set_network(reachable=False)
    played.stays_connected_and_fails()
    played.set_network(reachable=True)
    assert played.draw()
    played.set_network(reachable=False)
    played.disconnect()
    played.fails("NETWORK_ERRORS")


@pytest.mark.aws_documented
def test_cluster_deleted(played: Played) -> None:
    """A cluster deleted under a connected key store leaves it CONNECTED, without bytes, until Disconnect."""
    played.manage("DELETE")
    played.stays_connected_and_fails()
    played.disconnect()
    played.fails("CLUSTER_NOT_FOUND")


@pytest.mark.aws_documented
def test_subnet_trouble_does_not_touch_a_connection(played: Played) -> None:
    """A connected key store has its addresses; only the next connect looks at the subnets."""
    played.set_subnet(FreeAddresses=0, Exists=False)
    assert played.draw()
    played.disconnect()
    played.fails("SUBNET_NOT_FOUND")


@pytest.mark.inferred(reason="AWS's HSMs have no files; a lost token is an HSM that does not answer.")
def test_token_directory_away_and_back(played: Played) -> None:
    """A token directory that is gone fails each call, and the next connect; put back, all works again."""
    with played.away(played.home):
        played.stays_connected_and_fails()
    assert played.draw()
    with played.away(played.home):
        played.stays_connected_and_fails(1)
        played.disconnect()
        # Where others may have made it, a token that is not here is out of reach and not lost.
        played.fails("CLUSTER_NOT_FOUND" if REGISTRIES.postgres is None else "NETWORK_ERRORS")
    played.works()


@pytest.mark.inferred(reason="A token that is deleted is a cluster without an HSM.")
def test_token_deleted_with_its_own_tool(played: Played) -> None:
    """A token deleted with softhsm2-util fails each call; the next connect finds no HSM."""
    played.tool("softhsm2-util", "--delete-token", "--token", played.label)
    played.stays_connected_and_fails()
    played.disconnect()
    played.fails("INSUFFICIENT_CLOUDHSM_HSMS")


@pytest.mark.inferred(reason="CloudHSM cannot be initialised anew under a session; here a person can.")
def test_token_initialised_anew(played: Played) -> None:
    """A token initialised anew has no kmsuser: calls fail within a second, as does the next connect."""
    played.tool(
        "pkcs11-tool", "--module", "/usr/lib/softhsm/libsofthsm2.so", "--slot-index", "0", "--init-token",
        "--label", played.label, "--so-pin", SO_PIN,
    )  # fmt: skip
    _until_refused(played)
    played.stays_connected_and_fails()
    played.disconnect()
    played.fails("USER_NOT_FOUND")
    played.set_password()
    played.update(KeyStorePassword=NEW_PASSWORD)
    played.works()


def _until_refused(played: Played) -> None:
    """Draw until the token is asked again how it is, which it is once a second."""
    while (
        played.server.call("GenerateRandom", {"NumberOfBytes": 8, "CustomKeyStoreId": played.store}).status
        == 200
    ):
        pass


@pytest.mark.aws_documented
def test_password_changed_beside_the_server(played: Played) -> None:
    """A session outlives a change of kmsuser's password, which the next connect meets."""
    played.pkcs11_tool(
        "--login", "--login-type", "so", "--so-pin", SO_PIN, "--init-pin", "--new-pin", NEW_PASSWORD
    )
    assert played.draw()
    played.disconnect()
    played.fails("INVALID_CREDENTIALS")
    played.update(KeyStorePassword=NEW_PASSWORD)
    played.works()


@pytest.mark.aws_documented
def test_password_changed_while_disconnected(server: Server) -> None:
    """A password that kmsuser changed with pkcs11-tool is INVALID_CREDENTIALS until KMS knows it."""
    played = Played(server, "pin-changed", CryptoOfficerPin=SO_PIN)
    played.pkcs11_tool("--login", "--pin", PASSWORD, "--change-pin", "--new-pin", NEW_PASSWORD)
    played.fails("INVALID_CREDENTIALS")
    played.update(KeyStorePassword=NEW_PASSWORD)
    played.works()


@pytest.mark.aws_documented
def test_objects_added_beside_the_server(played: Played, tmp_path: Path) -> None:
    """Objects that somebody adds to the token disturb nobody."""
    data = tmp_path / "data"
    data.write_bytes(b"somebody's own")
    played.pkcs11_tool("--write-object", str(data), "--type", "data", "--label", "mine")
    assert played.draw()
    played.disconnect()
    played.works()
    assert "mine" in played.pkcs11_tool("--list-objects", "--type", "data")


@pytest.mark.simulator_only
def test_one_reopening_for_each_call(played: Played) -> None:
    """A broken connection is dropped once and each call tries once to log in."""
    tokens = played.home / "tokens"
    with played.away(tokens):
        before = played.server.log.count(played.store)
        for _ in range(3):
            assert played.refused_draw().code == "KMSInternalException"
        said = played.server.log.count(played.store) - before
    assert said <= 4
    assert played.draw()


@pytest.mark.simulator_only
def test_a_restart_with_a_broken_cluster(tmp_path: Path) -> None:
    """A restart while the network is cut leaves the store CONNECTED; it draws once the network is back."""
    with running(tmp_path / "data", "--profile", "instant") as server:
        broken, sound = Played(server, "broken"), Played(server, "sound")
        broken.works()
        sound.works()
        broken.set_network(reachable=False)
        server.stop()
        server.start()
        assert sound.draw()
        broken.stays_connected_and_fails()
        broken.set_network(reachable=True)
        assert broken.draw()
