"""How keys end: their waiting period, their material on the token, and what is left where it cannot go."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.registries import REGISTRIES
from tests.server import Server, running
from tests.wire.keys import Keys, fresh
from tests.wire.refusals import code, refusal

DAY = 86_400


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve from a server whose clock may be set."""
    with running(tmp_path_factory.mktemp("deletion") / "data", "--profile", "instant") as server:
        server.manage("PUT", "/clock/rate", {"Rate": 0})
        yield server


@pytest.fixture(scope="module")
def place(own_server: Server) -> Keys:
    """Give a connected key store on it."""
    return Keys.on(own_server, "deletion")


def advance(server: Server, seconds: float) -> None:
    """Let time pass."""
    assert server.manage("POST", "/clock/advance", {"Seconds": seconds})[0] == 200


def objects(server: Server, key_store_id: str) -> int:
    """Return how many objects SoftHSM2 keeps on the token of the store's cluster."""
    (entry,) = server.kms().describe_custom_key_stores(CustomKeyStoreId=key_store_id)["CustomKeyStores"]
    home = server.data_dir / "hsm" / entry["CloudHsmClusterId"]
    return len([path for path in home.glob("tokens/*/*.object") if path.name != "token.object"])


@pytest.mark.aws_documented
@pytest.mark.parametrize(("members", "days"), [({}, 30), ({"PendingWindowInDays": 7}, 7)], ids=["30", "7"])
def test_a_key_is_deleted_when_its_time_has_come(place: Keys, members: dict[str, Any], days: int) -> None:
    """The material is destroyed with the key, neither before its day nor after."""
    key_id = place.create()
    place.kms.create_alias(AliasName="alias/doomed", TargetKeyId=key_id)
    before = objects(place.server, place.store)
    answer = place.kms.schedule_key_deletion(KeyId=key_id, **members)
    described = place.described(key_id)
    assert answer["KeyId"] == place.arn(key_id)
    assert (answer["KeyState"], answer["PendingWindowInDays"]) == ("PendingDeletion", days)
    assert answer["DeletionDate"] == described["DeletionDate"]
    assert answer["DeletionDate"] - described["CreationDate"] == timedelta(days=days)
    assert (described["KeyState"], described["Enabled"]) == ("PendingDeletion", False)
    advance(place.server, days * DAY - 1)
    assert place.state("alias/doomed") == "PendingDeletion"
    assert objects(place.server, place.store) == before
    advance(place.server, 1)
    refused = refusal(place.kms.describe_key, KeyId=key_id)
    assert refused == (400, "NotFoundException", f"Key '{place.arn(key_id)}' does not exist")
    assert place.kms.list_aliases()["Aliases"] == []
    assert objects(place.server, place.store) == before - 1


@pytest.mark.inferred(reason="The bounds are documented, the text is ours.")
@pytest.mark.parametrize("days", [1, 6, 31, 365])
def test_a_waiting_period_out_of_bounds(place: Keys, days: int) -> None:
    """The waiting period is 7 to 30 days, though the model allows 1 to 365."""
    key_id = place.create()
    refused = refusal(place.kms.schedule_key_deletion, KeyId=key_id, PendingWindowInDays=days)
    assert refused == (400, "ValidationException", "PendingWindowInDays must be between 7 and 30.")
    assert place.state(key_id) == "Enabled"


@pytest.mark.aws_documented
def test_a_deletion_is_cancelled(place: Keys) -> None:
    """A key whose deletion is cancelled is Disabled, works again once it is enabled, and is not deleted."""
    key_id = place.create()
    blob = place.kms.encrypt(KeyId=key_id, Plaintext=b"kept")["CiphertextBlob"]
    place.kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    assert place.kms.cancel_key_deletion(KeyId=key_id)["KeyId"] == place.arn(key_id)
    described = place.described(key_id)
    assert (described["KeyState"], "DeletionDate" in described) == ("Disabled", False)
    advance(place.server, 8 * DAY)
    place.kms.enable_key(KeyId=key_id)
    assert place.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"


@pytest.mark.aws_documented
def test_a_deletion_goes_on_while_the_store_is_disconnected(own_server: Server) -> None:
    """The key ends on its day; its material stays in the cluster, and doctor says so and what to do."""
    keys = Keys.on(own_server, fresh("orphan"))
    doomed, kept = keys.create(), keys.create()
    keys.kms.disconnect_custom_key_store(CustomKeyStoreId=keys.store)
    keys.kms.schedule_key_deletion(KeyId=doomed, PendingWindowInDays=7)
    assert (keys.state(doomed), keys.state(kept)) == ("PendingDeletion", "Unavailable")
    advance(own_server, 7 * DAY)
    assert code(keys.kms.describe_key, KeyId=doomed) == "NotFoundException"
    assert objects(own_server, keys.store) == 2
    assert "is left on" in own_server.log
    found = doctor(own_server)
    assert keys.arn(doomed) in found
    assert f"hsmstore store connect {keys.store}; hsmstore cluster key delete " in found
    keys.kms.connect_custom_key_store(CustomKeyStoreId=keys.store)
    assert keys.state(kept) == "Enabled"
    cluster = keys.described(kept)["CloudHsmClusterId"]
    assert own_server.manage("DELETE", f"/clusters/{cluster}/keys/{doomed}")[0] == 200  # as doctor says
    assert keys.arn(doomed) not in doctor(own_server)
    assert objects(own_server, keys.store) == 1


def doctor(server: Server) -> str:
    """Return what doctor says, of a registry that a server is using."""
    command = [sys.executable, "-m", "hsmstore", "doctor", "--json", "--data-dir", str(server.data_dir)]
    command += REGISTRIES.options(server.data_dir)
    return subprocess.run(command, capture_output=True, check=False, text=True, timeout=120).stdout


@pytest.mark.inferred(reason="The state is documented, the text of the refusal is not.")
def test_material_that_is_deleted_behind_the_back_of_kms(own_server: Server) -> None:
    """A key whose material is gone stays Enabled and cannot be used; its store's other keys can."""
    keys = Keys.on(own_server, fresh("gone"))
    gone, kept = keys.create(), keys.create()
    blob = keys.kms.encrypt(KeyId=gone, Plaintext=b"x")["CiphertextBlob"]
    path = f"/clusters/{keys.described(gone)['CloudHsmClusterId']}/keys"
    status, listed = own_server.manage("GET", path)
    assert status == 200
    assert {(key["KeyId"], key["Label"]) for key in listed["Keys"]} == {
        (key_id, keys.arn(key_id)) for key_id in (gone, kept)
    }
    assert own_server.manage("DELETE", f"{path}/{gone}")[0] == 200
    assert own_server.manage("DELETE", f"{path}/{gone}")[0] == 404
    assert own_server.manage("DELETE", f"{path}/x")[0] == 400
    assert keys.state(gone) == "Enabled"
    assert code(keys.kms.encrypt, KeyId=gone, Plaintext=b"x") == "KMSInvalidStateException"
    assert code(keys.kms.decrypt, CiphertextBlob=blob) == "KMSInvalidStateException"
    assert keys.kms.encrypt(KeyId=kept, Plaintext=b"x")["CiphertextBlob"]
    keys.kms.schedule_key_deletion(KeyId=gone, PendingWindowInDays=7)
    advance(own_server, 7 * DAY)
    assert code(keys.kms.describe_key, KeyId=gone) == "NotFoundException"
    keys.kms.disconnect_custom_key_store(CustomKeyStoreId=keys.store)
    assert own_server.manage("GET", path)[0] == 400


@pytest.mark.aws_documented
def test_the_last_key_lets_its_store_go(own_server: Server) -> None:
    """A key store can be deleted once its last key has been."""
    keys = Keys.on(own_server, fresh("emptied"))
    keys.kms.schedule_key_deletion(KeyId=keys.create(), PendingWindowInDays=7)
    keys.kms.disconnect_custom_key_store(CustomKeyStoreId=keys.store)
    has_keys = "CustomKeyStoreHasCMKsException"
    assert code(keys.kms.delete_custom_key_store, CustomKeyStoreId=keys.store) == has_keys
    advance(own_server, 7 * DAY)
    keys.kms.delete_custom_key_store(CustomKeyStoreId=keys.store)


@pytest.mark.aws_documented
def test_a_deletion_survives_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What was scheduled before a restart happens after it, and keys go on working."""
    with running(tmp_path_factory.mktemp("restart") / "data", "--profile", "instant") as server:
        keys = Keys.on(server, "restarted")
        doomed, kept = keys.create(), keys.create()
        blob = keys.kms.encrypt(KeyId=kept, Plaintext=b"kept")["CiphertextBlob"]
        keys.kms.schedule_key_deletion(KeyId=doomed, PendingWindowInDays=7)
        server.stop()
        server.start()
        assert keys.state(doomed) == "PendingDeletion"
        assert keys.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"
        advance(server, 7 * DAY)
        assert code(keys.kms.describe_key, KeyId=doomed) == "NotFoundException"
        assert objects(server, keys.store) == 1
