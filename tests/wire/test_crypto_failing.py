"""Cryptography where the key, its key store, its material or its cluster is not as it should be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server import Server, running
from tests.wire.failing import Played
from tests.wire.keys import fresh
from tests.wire.refusals import Refusal, refusal

UNREACHABLE = "KMS cannot communicate with your CloudHSM cluster"


class Crypto(Played):
    """A connected key store with a key, and a ciphertext of it."""

    def __init__(self, server: Server) -> None:
        super().__init__(server, fresh("crypto"))
        self.works()
        self.key = self.create()
        self.arn: str = self.kms.describe_key(KeyId=self.key)["KeyMetadata"]["Arn"]
        self.blob: bytes = self.kms.encrypt(KeyId=self.key, Plaintext=b"kept")["CiphertextBlob"]

    def create(self) -> str:
        """Make a key; return its id."""
        made = self.kms.create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=self.store)
        key_id: str = made["KeyMetadata"]["KeyId"]
        return key_id

    def calls(self) -> dict[str, Callable[[], Any]]:
        """Return a call of each operation, in which the key is used."""
        kms, blob, size = self.kms, self.blob, {"KeyId": self.key, "KeySpec": "AES_256"}
        return {
            "Encrypt": lambda: kms.encrypt(KeyId=self.key, Plaintext=b"x"),
            "Decrypt": lambda: kms.decrypt(CiphertextBlob=blob),
            "ReEncrypt": lambda: kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=self.key),
            "GenerateDataKey": lambda: kms.generate_data_key(**size),
            "GenerateDataKeyWithoutPlaintext": lambda: kms.generate_data_key_without_plaintext(**size),
        }

    def refuses(self, code: str, message: str, status: int = 400) -> None:
        """See every operation refused in the same way."""
        refused = {name: refusal(call) for name, call in self.calls().items()}
        assert refused == dict.fromkeys(refused, Refusal(status, code, message))

    def serves(self) -> None:
        """See every operation answered, and the old ciphertext decrypted."""
        for call in self.calls().values():
            call()
        assert self.kms.decrypt(CiphertextBlob=self.blob)["Plaintext"] == b"kept"


@pytest.fixture
def crypto(server: Server) -> Crypto:
    """Give a connected key store with a key."""
    return Crypto(server)


# The key's state: KMS Developer Guide, "Key states of AWS KMS keys".


@pytest.mark.aws_recorded
def test_a_disabled_key(crypto: Crypto) -> None:
    """Each operation is DisabledException, in the recorded words; enabled again, the key works."""
    crypto.kms.disable_key(KeyId=crypto.key)
    crypto.refuses("DisabledException", f"{crypto.arn} is disabled.")
    crypto.kms.enable_key(KeyId=crypto.key)
    crypto.serves()


@pytest.mark.aws_documented
def test_a_key_pending_deletion(crypto: Crypto) -> None:
    """Each operation is KMSInvalidStateException; its deletion cancelled and enabled, the key works."""
    crypto.kms.schedule_key_deletion(KeyId=crypto.key, PendingWindowInDays=7)
    crypto.refuses("KMSInvalidStateException", f"{crypto.arn} is pending deletion.")
    crypto.kms.cancel_key_deletion(KeyId=crypto.key)
    crypto.kms.enable_key(KeyId=crypto.key)
    crypto.serves()


@pytest.mark.aws_documented
def test_a_store_that_is_not_connected(crypto: Crypto) -> None:
    """While the store is DISCONNECTED or FAILED its keys are unavailable; connected again, they work."""
    unavailable = f"{crypto.arn} is unavailable."
    crypto.disconnect()
    crypto.refuses("KMSInvalidStateException", unavailable)
    crypto.set_network(reachable=False)
    assert crypto.connect() == ("FAILED", "NETWORK_ERRORS")
    crypto.refuses("KMSInvalidStateException", unavailable)
    crypto.set_network(reachable=True)
    crypto.disconnect()
    crypto.works()
    crypto.serves()


# The cluster: KMS Developer Guide, "Fix a custom key store".


@pytest.mark.aws_documented
@pytest.mark.parametrize("trouble", ["network", "hsms", "token"])
def test_a_cluster_that_cannot_be_reached(crypto: Crypto, trouble: str) -> None:
    """The store stays CONNECTED and the key Enabled; each operation says what is wrong."""
    if trouble == "token":
        with crypto.away(crypto.home / "tokens"):
            crypto.refuses("KMSInvalidStateException", UNREACHABLE)
    elif trouble == "hsms":
        crypto.stop_hsms()
        crypto.refuses("KMSInvalidStateException", UNREACHABLE)
        crypto.manage("POST", f"/hsms/{crypto.hsms[1]}/start")  # one is enough for cryptography
    else:
        crypto.set_network(reachable=False)
        crypto.refuses("KMSInvalidStateException", UNREACHABLE)
        assert crypto.state() == ("CONNECTED", None)
        assert crypto.kms.describe_key(KeyId=crypto.key)["KeyMetadata"]["KeyState"] == "Enabled"
        crypto.set_network(reachable=True)
    crypto.serves()


@pytest.mark.inferred(reason="That it is KMSInvalidStateException is documented; the text is ours.")
def test_material_deleted_behind_kms(crypto: Crypto) -> None:
    """Material that somebody takes from the cluster is gone; the key's state does not change."""
    (material,) = set(crypto.home.glob("tokens/*/*.object")) - set(crypto.home.glob("tokens/*/token.object"))
    other = crypto.create()
    with crypto.away(material):
        crypto.refuses(
            "KMSInvalidStateException", f"The key material of {crypto.arn} is not in the CloudHSM cluster."
        )
        assert crypto.kms.describe_key(KeyId=crypto.key)["KeyMetadata"]["KeyState"] == "Enabled"
        assert crypto.kms.encrypt(KeyId=other, Plaintext=b"x")
    crypto.disconnect()
    crypto.works()
    crypto.serves()


@pytest.mark.aws_documented
def test_a_cluster_from_a_backup_has_the_keys(crypto: Crypto) -> None:
    """A key store that goes on with a cluster made from a backup decrypts what it has encrypted before."""
    backup = crypto.back_up()
    later = crypto.create()
    crypto.disconnect()
    crypto.use(crypto.restore(backup))
    crypto.set_password()
    crypto.update(KeyStorePassword="anotherPassword2")
    crypto.works()
    crypto.serves()
    lost = refusal(crypto.kms.encrypt, KeyId=later, Plaintext=b"x")  # made after the backup
    assert (lost.code, lost.message) == (
        "KMSInvalidStateException",
        f"The key material of {crypto.arn.replace(crypto.key, later)} is not in the CloudHSM cluster.",
    )


@pytest.mark.simulator_only
def test_keys_outlive_the_server(tmp_path: Path) -> None:
    """A server that is killed and started again finds its keys."""
    with running(tmp_path / "data", "--profile", "instant") as own:
        crypto = Crypto(own)
        own.kill()
        own.start()
        crypto.serves()


# The fault plan.


@pytest.mark.simulator_only
@pytest.mark.parametrize(
    ("point", "struck"),
    [
        ("encrypt", {"Encrypt", "ReEncrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"}),
        ("decrypt", {"Decrypt", "ReEncrypt"}),
        ("draw", {"GenerateDataKey", "GenerateDataKeyWithoutPlaintext"}),
    ],
)
def test_faults_of_a_stores_hsm(crypto: Crypto, point: str, struck: set[str]) -> None:
    """A fault about calls to the HSM of one key store, or of its cluster, strikes whatever makes them."""
    other = Crypto(crypto.server)
    for about in ({"CustomKeyStoreId": crypto.store}, {"ClusterId": crypto.cluster_id}):
        fault = {"Point": point, "Effect": "exception", "Error": "KMSInternalException", **about}
        fault_id = crypto.server.manage("POST", "/faults", fault)[1]["FaultId"]
        for name, call in crypto.calls().items():
            if name in struck:
                assert refusal(call) == Refusal(
                    500, "KMSInternalException", f"Injected by {fault_id} of the fault plan."
                )
            else:
                call()
        other.serves()
        assert crypto.server.manage("DELETE", f"/faults/{fault_id}")[0] == 200
    crypto.serves()
