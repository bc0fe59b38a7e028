"""Connecting and disconnecting CloudHSM key stores: real log-ins to real tokens."""

from typing import Any

import pytest

from tests.server import PASSWORD, Server, running
from tests.wire.refusals import code

NEW_PASSWORD = "anotherPassword2"
INVALID_STATE = "CustomKeyStoreInvalidStateException"


def state(server: Server, store: str) -> tuple[str, str | None]:
    """Return the store's ConnectionState and ConnectionErrorCode."""
    (entry,) = server.kms().describe_custom_key_stores(CustomKeyStoreId=store)["CustomKeyStores"]
    return entry["ConnectionState"], entry.get("ConnectionErrorCode")


def connect(server: Server, store: str) -> tuple[str, str | None]:
    """Connect, and return how that ended."""
    answer = server.call("ConnectCustomKeyStore", {"CustomKeyStoreId": store})
    assert (answer.status, answer.body) == (200, b"{}")
    return state(server, store)


def disconnect(server: Server, store: str) -> None:
    """Disconnect."""
    answer = server.call("DisconnectCustomKeyStore", {"CustomKeyStoreId": store})
    assert (answer.status, answer.body) == (200, b"{}")
    assert state(server, store) == ("DISCONNECTED", None)


def kmsuser(cluster: Any) -> str:
    """Return the management path of the cluster's kmsuser."""
    return f"/clusters/{cluster['CloudHsmClusterId']}/kmsuser"


@pytest.mark.aws_documented
def test_life(server: Server) -> None:
    """A key store connects, is CONNECTED again and again, disconnects, and connects anew."""
    store = server.new_store("life")
    assert state(server, store) == ("DISCONNECTED", None)
    for _ in range(3):
        assert connect(server, store) == ("CONNECTED", None)
        assert connect(server, store) == ("CONNECTED", None)
        assert len(server.kms().generate_random(NumberOfBytes=8, CustomKeyStoreId=store)["Plaintext"]) == 8
        disconnect(server, store)
        refused = code(server.kms().generate_random, NumberOfBytes=8, CustomKeyStoreId=store)
        assert refused == INVALID_STATE


@pytest.mark.aws_documented
def test_wrong_password_and_its_cure(server: Server) -> None:
    """A wrong password ends in FAILED, INVALID_CREDENTIALS; disconnect, update, connect mends it."""
    cluster = server.new_cluster(KmsuserPassword=NEW_PASSWORD)
    store = server.new_store("wrong-password", cluster)
    kms = server.kms()
    assert connect(server, store) == ("FAILED", "INVALID_CREDENTIALS")
    update = {"CustomKeyStoreId": store, "KeyStorePassword": NEW_PASSWORD}
    assert code(kms.update_custom_key_store, **update) == INVALID_STATE
    assert code(kms.connect_custom_key_store, CustomKeyStoreId=store) == INVALID_STATE
    assert code(kms.delete_custom_key_store, CustomKeyStoreId=store) == INVALID_STATE
    assert state(server, store) == ("FAILED", "INVALID_CREDENTIALS")
    disconnect(server, store)
    assert connect(server, store) == ("FAILED", "INVALID_CREDENTIALS")
    disconnect(server, store)
    kms.update_custom_key_store(**update)
    assert connect(server, store) == ("CONNECTED", None)


@pytest.mark.aws_documented
def test_no_kmsuser_and_its_cure(server: Server) -> None:
    """Without a kmsuser connecting fails with USER_NOT_FOUND; once it is created the key store connects."""
    cluster = server.new_cluster(KmsuserPassword=None)
    store = server.new_store("no-kmsuser", cluster)
    assert connect(server, store) == ("FAILED", "USER_NOT_FOUND")
    assert server.manage("POST", kmsuser(cluster), {"Password": PASSWORD})[0] == 200
    disconnect(server, store)
    assert connect(server, store) == ("CONNECTED", None)


@pytest.mark.aws_documented
def test_deleted_kmsuser(server: Server) -> None:
    """A kmsuser deleted while disconnected is not found, and found again once it is created anew."""
    cluster = server.new_cluster()
    store = server.new_store("deleted-kmsuser", cluster)
    connect(server, store)
    disconnect(server, store)
    assert server.manage("DELETE", kmsuser(cluster))[0] == 200
    assert connect(server, store) == ("FAILED", "USER_NOT_FOUND")
    assert server.manage("POST", kmsuser(cluster), {"Password": NEW_PASSWORD})[0] == 200
    disconnect(server, store)
    assert connect(server, store) == ("FAILED", "INVALID_CREDENTIALS")
    disconnect(server, store)
    server.kms().update_custom_key_store(CustomKeyStoreId=store, KeyStorePassword=NEW_PASSWORD)
    assert connect(server, store) == ("CONNECTED", None)


@pytest.mark.aws_documented
def test_deleted_cluster(server: Server) -> None:
    """A cluster deleted before connecting is not found: CLUSTER_NOT_FOUND."""
    cluster = server.new_cluster()
    store = server.new_store("deleted-cluster", cluster)
    assert server.manage("DELETE", f"/clusters/{cluster['CloudHsmClusterId']}")[0] == 200
    assert connect(server, store) == ("FAILED", "CLUSTER_NOT_FOUND")
    disconnect(server, store)
    server.kms().delete_custom_key_store(CustomKeyStoreId=store)


@pytest.mark.aws_documented
def test_password_is_rotated(server: Server) -> None:
    """Connecting changes kmsuser's password, so that the old one opens the token no more."""
    cluster = server.new_cluster()
    store = server.new_store("rotated", cluster)
    connect(server, store)
    disconnect(server, store)
    assert connect(server, store) == ("CONNECTED", None)  # KMS knows the new one
    disconnect(server, store)
    server.kms().delete_custom_key_store(CustomKeyStoreId=store)
    heir = server.new_store("rotated-heir", cluster)
    assert connect(server, heir) == ("FAILED", "INVALID_CREDENTIALS")


@pytest.mark.aws_documented
def test_update_never_changes_the_password_of_the_hsm(server: Server) -> None:
    """KeyStorePassword only tells KMS: a wrong one breaks the next connect, the right one mends it."""
    cluster = server.new_cluster()
    store = server.new_store("told", cluster)
    server.kms().update_custom_key_store(CustomKeyStoreId=store, KeyStorePassword=NEW_PASSWORD)
    assert connect(server, store) == ("FAILED", "INVALID_CREDENTIALS")
    disconnect(server, store)
    server.kms().update_custom_key_store(CustomKeyStoreId=store, KeyStorePassword=PASSWORD)
    assert connect(server, store) == ("CONNECTED", None)


@pytest.mark.aws_documented
def test_password_changed_behind_the_back(server: Server) -> None:
    """A crypto officer may change the password while disconnected, and KMS must then be told."""
    cluster = server.new_cluster()
    store = server.new_store("behind-the-back", cluster)
    connect(server, store)
    disconnect(server, store)
    assert server.manage("PUT", kmsuser(cluster), {"Password": NEW_PASSWORD})[0] == 200
    assert connect(server, store) == ("FAILED", "INVALID_CREDENTIALS")
    disconnect(server, store)
    server.kms().update_custom_key_store(CustomKeyStoreId=store, KeyStorePassword=NEW_PASSWORD)
    assert connect(server, store) == ("CONNECTED", None)


@pytest.mark.aws_documented
def test_kmsuser_is_blocked_while_connected(server: Server) -> None:
    """KMS stays logged in: nobody changes or deletes kmsuser until the key store is disconnected."""
    cluster = server.new_cluster()
    store = server.new_store("blocked", cluster)
    connect(server, store)
    assert server.manage("PUT", kmsuser(cluster), {"Password": NEW_PASSWORD})[0] == 400
    assert server.manage("DELETE", kmsuser(cluster))[0] == 400
    assert len(server.kms().generate_random(NumberOfBytes=8, CustomKeyStoreId=store)["Plaintext"]) == 8
    disconnect(server, store)
    assert server.manage("PUT", kmsuser(cluster), {"Password": NEW_PASSWORD})[0] == 200


@pytest.mark.aws_documented
def test_trouble_in_the_cluster_leaves_the_state(server: Server) -> None:
    """A cluster that is lost leaves its key store CONNECTED; only Disconnect ends that, and works."""
    cluster = server.new_cluster()
    store = server.new_store("lost-cluster", cluster)
    connect(server, store)
    assert server.manage("DELETE", f"/clusters/{cluster['CloudHsmClusterId']}")[0] == 200
    assert server.call("GenerateRandom", {"NumberOfBytes": 8, "CustomKeyStoreId": store}).status in {200, 500}
    assert state(server, store) == ("CONNECTED", None)
    disconnect(server, store)
    assert connect(server, store) == ("FAILED", "CLUSTER_NOT_FOUND")


# GenerateRandom.


@pytest.fixture(scope="module")
def store(server: Server) -> str:
    """Connect a key store to draw from."""
    key_store_id = server.new_store("random")
    connect(server, key_store_id)
    return key_store_id


@pytest.mark.aws_documented
@pytest.mark.parametrize("in_store", [True, False], ids=["from the key store", "from KMS"])
def test_sizes(server: Server, store: str, *, in_store: bool) -> None:
    """GenerateRandom gives exactly as many bytes as are asked for, from 1 to 1024, and never the same."""
    kms = server.kms()
    where = {"CustomKeyStoreId": store} if in_store else {}
    sizes = [*range(1, 70), 127, 128, 255, 256, 511, 512, 1023, 1024]
    drawn = [kms.generate_random(NumberOfBytes=size, **where)["Plaintext"] for size in sizes]
    assert [len(plaintext) for plaintext in drawn] == sizes
    long_enough = [plaintext[:16] for plaintext in drawn if len(plaintext) >= 16]
    assert len(set(long_enough)) == len(long_enough)


@pytest.mark.aws_documented
def test_output(server: Server, store: str) -> None:
    """The answer holds the plaintext and nothing else."""
    answer = server.kms().generate_random(NumberOfBytes=4, CustomKeyStoreId=store)
    assert answer.keys() == {"Plaintext", "ResponseMetadata"}


@pytest.mark.aws_documented
def test_random_of_an_unknown_store(server: Server) -> None:
    """An unknown key store gives no random bytes."""
    refused = code(server.kms().generate_random, NumberOfBytes=4, CustomKeyStoreId="cks-0")
    assert refused == "CustomKeyStoreNotFoundException"


# Restarts.


@pytest.mark.simulator_only(reason="What a restart must keep; AWS does not restart.")
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_restart(tmp_path: Any, end: str) -> None:
    """A server that is stopped or killed has everything as it was when it starts again."""
    with running(tmp_path / "data", "--profile", "instant") as server:
        connected, failed, external = (
            server.new_store("connected"),
            server.new_store("failed", server.new_cluster(KmsuserPassword=NEW_PASSWORD)),
            server.new_external_store("external"),
        )
        connect(server, connected)
        assert connect(server, failed) == ("FAILED", "INVALID_CREDENTIALS")
        before = server.kms().describe_custom_key_stores()["CustomKeyStores"]
        clusters = server.manage("GET", "/clusters")
        for _ in range(2):
            getattr(server, end)()
            server.start()
            assert server.kms().describe_custom_key_stores()["CustomKeyStores"] == before
            assert server.manage("GET", "/clusters") == clusters
            drawn = server.kms().generate_random(NumberOfBytes=16, CustomKeyStoreId=connected)
            assert len(drawn["Plaintext"]) == 16
        disconnect(server, connected)
        assert connect(server, connected) == ("CONNECTED", None)
        assert code(server.kms().generate_random, NumberOfBytes=1, CustomKeyStoreId=external) == (
            "UnsupportedOperationException"
        )
