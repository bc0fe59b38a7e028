"""Every operation on a key in every state of the key, through boto3 over a real token.

The table is that of the KMS Developer Guide, "Key states of AWS KMS keys", in the column of custom key
stores. A key that is Unavailable may have been Enabled or Disabled before.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from tests.server import Server, running
from tests.wire.keys import Keys, fresh

STATES = ("Enabled", "Disabled", "PendingDeletion", "Unavailable", "Unavailable (Disabled)")
OK = "ok"
DISABLED = "DisabledException: {arn} is disabled."
PENDING = "KMSInvalidStateException: {arn} is pending deletion."
NOT_PENDING = "KMSInvalidStateException: {arn} is not pending deletion."
UNAVAILABLE = "KMSInvalidStateException: {arn} is unavailable."
ORIGIN = "UnsupportedOperationException: {arn} origin is AWS_CLOUDHSM which is not valid for this operation."
REGIONS = "UnsupportedOperationException: {arn} is not a multi-region primary key."
PRINCIPAL = "arn:aws:iam::000000000000:role/somebody"


class Place(NamedTuple):
    """Where the cells have their keys: a client, a key by cell, and what a ciphertext of it is."""

    server: Server
    kms: Any
    ids: dict[tuple[str, str], str]
    blobs: dict[str, bytes]
    other: str
    done: set[tuple[str, str]]  # the cells that this process has tested

    def blob(self, key_id: str) -> bytes:
        """Return what the key encrypted while it could."""
        return self.blobs[key_id]


Operation = Callable[[Place, str], Any]

USES: dict[str, Operation] = {
    "Encrypt": lambda place, key: place.kms.encrypt(KeyId=key, Plaintext=b"x"),
    "Decrypt": lambda place, key: place.kms.decrypt(CiphertextBlob=place.blob(key)),
    "ReEncrypt from": lambda place, key: place.kms.re_encrypt(
        CiphertextBlob=place.blob(key), DestinationKeyId=place.other
    ),
    "ReEncrypt to": lambda place, key: place.kms.re_encrypt(
        CiphertextBlob=place.blob(place.other), DestinationKeyId=key
    ),
    "GenerateDataKey": lambda place, key: place.kms.generate_data_key(KeyId=key, KeySpec="AES_256"),
    "GenerateDataKeyWithoutPlaintext": lambda place, key: place.kms.generate_data_key_without_plaintext(
        KeyId=key, KeySpec="AES_256"
    ),
}
CHANGES: dict[str, Operation] = {
    "EnableKey": lambda place, key: place.kms.enable_key(KeyId=key),
    "DisableKey": lambda place, key: place.kms.disable_key(KeyId=key),
    "ScheduleKeyDeletion": lambda place, key: place.kms.schedule_key_deletion(KeyId=key),
    "CreateAlias": lambda place, key: place.kms.create_alias(
        AliasName=f"alias/{fresh('cell')}", TargetKeyId=key
    ),
    "UpdateAlias": lambda place, key: place.kms.update_alias(AliasName="alias/moved", TargetKeyId=key),
    "TagResource": lambda place, key: place.kms.tag_resource(
        KeyId=key, Tags=[{"TagKey": "a", "TagValue": "b"}]
    ),
    "UntagResource": lambda place, key: place.kms.untag_resource(KeyId=key, TagKeys=["a"]),
    "UpdateKeyDescription": lambda place, key: place.kms.update_key_description(KeyId=key, Description="x"),
}
READS: dict[str, Operation] = {
    "DescribeKey": lambda place, key: place.kms.describe_key(KeyId=key),
    "ListAliases": lambda place, key: place.kms.list_aliases(KeyId=key),
    "ListGrants": lambda place, key: place.kms.list_grants(KeyId=key),
    "ListKeyPolicies": lambda place, key: place.kms.list_key_policies(KeyId=key),
    "ListResourceTags": lambda place, key: place.kms.list_resource_tags(KeyId=key),
    "GetKeyPolicy": lambda place, key: place.kms.get_key_policy(KeyId=key, PolicyName="default"),
    "PutKeyPolicy": lambda place, key: place.kms.put_key_policy(
        KeyId=key, Policy=place.kms.get_key_policy(KeyId=key)["Policy"]
    ),
    "RevokeGrant": lambda place, key: place.kms.revoke_grant(KeyId=key, GrantId=granted(place, key)),
    "RetireGrant": lambda place, key: place.kms.retire_grant(KeyId=key, GrantId=granted(place, key)),
}
ROTATIONS: dict[str, Operation] = {
    "GetKeyRotationStatus": lambda place, key: place.kms.get_key_rotation_status(KeyId=key),
    "EnableKeyRotation": lambda place, key: place.kms.enable_key_rotation(KeyId=key),
    "DisableKeyRotation": lambda place, key: place.kms.disable_key_rotation(KeyId=key),
    "RotateKeyOnDemand": lambda place, key: place.kms.rotate_key_on_demand(KeyId=key),
    "ListKeyRotations": lambda place, key: place.kms.list_key_rotations(KeyId=key),
    "GetParametersForImport": lambda place, key: place.kms.get_parameters_for_import(
        KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    ),
    "ImportKeyMaterial": lambda place, key: place.kms.import_key_material(
        KeyId=key, ImportToken=b"x", EncryptedKeyMaterial=b"x"
    ),
    "DeleteImportedKeyMaterial": lambda place, key: place.kms.delete_imported_key_material(KeyId=key),
}
PAIRS: dict[str, Operation] = {
    "GenerateDataKeyPair": lambda place, key: place.kms.generate_data_key_pair(
        KeyId=key, KeyPairSpec="RSA_2048"
    ),
    "GenerateDataKeyPairWithoutPlaintext": (
        lambda place, key: place.kms.generate_data_key_pair_without_plaintext(
            KeyId=key, KeyPairSpec="RSA_2048"
        )
    ),
}
ELSEWHERE: dict[str, Operation] = {
    "ReplicateKey": lambda place, key: place.kms.replicate_key(KeyId=key, ReplicaRegion="eu-west-1"),
    "UpdatePrimaryRegion": lambda place, key: place.kms.update_primary_region(
        KeyId=key, PrimaryRegion="eu-west-1"
    ),
}
OTHER_USAGES: dict[str, Operation] = {
    "Sign": lambda place, key: place.kms.sign(KeyId=key, Message=b"x", SigningAlgorithm="ECDSA_SHA_256"),
    "Verify": lambda place, key: place.kms.verify(
        KeyId=key, Message=b"x", Signature=b"x", SigningAlgorithm="ECDSA_SHA_256"
    ),
    "GenerateMac": lambda place, key: place.kms.generate_mac(
        KeyId=key, Message=b"x", MacAlgorithm="HMAC_SHA_256"
    ),
    "VerifyMac": lambda place, key: place.kms.verify_mac(
        KeyId=key, Message=b"x", Mac=b"x", MacAlgorithm="HMAC_SHA_256"
    ),
    "DeriveSharedSecret": lambda place, key: place.kms.derive_shared_secret(
        KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=b"x"
    ),
}
OPERATIONS: dict[str, Operation] = {
    **USES,
    **CHANGES,
    "CancelKeyDeletion": lambda place, key: place.kms.cancel_key_deletion(KeyId=key),
    "CreateGrant": lambda place, key: place.kms.create_grant(
        KeyId=key, GranteePrincipal=PRINCIPAL, Operations=["Encrypt"]
    ),
    **READS,
    **ROTATIONS,
    **PAIRS,
    **ELSEWHERE,
    **OTHER_USAGES,
}


CHANGING = {*CHANGES, "CancelKeyDeletion", "RevokeGrant", "RetireGrant"}
"""These have a key of their own in each state; the others share one."""


def granted(place: Place, key: str) -> str:
    """Return the grant that the key was given while it could be."""
    grant: str = place.kms.list_grants(KeyId=key)["Grants"][0]["GrantId"]
    return grant


def row(*outcomes: str) -> dict[str, str]:
    """Name the outcome in each state, in the order of STATES."""
    return dict(zip(STATES, outcomes, strict=True))


def usage(operation: str) -> str:
    """Word the refusal of an operation that the key's usage forbids."""
    return (
        f"InvalidKeyUsageException: {{arn}} key usage is ENCRYPT_DECRYPT which is not valid for {operation}."
    )


DOCUMENTED: dict[str, dict[str, str]] = {
    **dict.fromkeys(USES, row(OK, DISABLED, PENDING, UNAVAILABLE, UNAVAILABLE)),
    **dict.fromkeys(CHANGES, row(OK, OK, PENDING, OK, OK)),
    "CancelKeyDeletion": row(NOT_PENDING, NOT_PENDING, OK, NOT_PENDING, NOT_PENDING),
    "CreateGrant": row(OK, DISABLED, PENDING, OK, OK),
    **dict.fromkeys(READS, row(OK, OK, OK, OK, OK)),
    **dict.fromkeys(ROTATIONS, row(*[ORIGIN] * 5)),
}
INFERRED: dict[str, dict[str, str]] = {
    **dict.fromkeys(PAIRS, row(*[ORIGIN] * 5)),
    **dict.fromkeys(ELSEWHERE, row(*[REGIONS] * 5)),
    **{operation: row(*[usage(operation)] * 5) for operation in OTHER_USAGES},
}

AFTERWARDS = {
    ("EnableKey", "Disabled"): "Enabled",
    ("DisableKey", "Enabled"): "Disabled",
    ("CancelKeyDeletion", "PendingDeletion"): "Disabled",
} | {("ScheduleKeyDeletion", state): "PendingDeletion" for state in STATES if state != "PendingDeletion"}

RECONNECTED = {
    ("EnableKey", "Unavailable (Disabled)"): "Enabled",
    ("DisableKey", "Unavailable"): "Disabled",
    ("ScheduleKeyDeletion", "Unavailable"): "PendingDeletion",
    ("ScheduleKeyDeletion", "Unavailable (Disabled)"): "PendingDeletion",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Serve a key for each cell, already in the cell's state."""
    with running(tmp_path_factory.mktemp("states") / "data", "--profile", "instant") as server:
        keys, away = Keys.on(server, "connected"), Keys.on(server, "disconnected")
        place = Place(server, keys.kms, {}, {}, keys.create(), set())
        place.blobs[place.other] = place.kms.encrypt(KeyId=place.other, Plaintext=b"x")["CiphertextBlob"]
        place.kms.create_alias(AliasName="alias/moved", TargetKeyId=place.other)
        for state in STATES:
            store = away if state.startswith("Unavailable") else keys
            shared = _made(place, store, state)
            for operation in OPERATIONS:
                alone = operation in CHANGING
                place.ids[operation, state] = _made(place, store, state) if alone else shared
        place.kms.disconnect_custom_key_store(CustomKeyStoreId=away.store)
        yield place
        place.kms.connect_custom_key_store(CustomKeyStoreId=away.store)
        for (operation, state), key_id in place.ids.items():  # what was said meanwhile is remembered
            if state.startswith("Unavailable"):
                before = "Disabled" if "Disabled" in state else "Enabled"
                after = (
                    RECONNECTED.get((operation, state), before)
                    if (operation, state) in place.done
                    else before
                )
                shown = place.kms.describe_key(KeyId=key_id)["KeyMetadata"]
                assert shown["KeyState"] == after, (operation, state)
                assert shown["Enabled"] == (shown["KeyState"] == "Enabled")


def _made(place: Place, store: Keys, state: str) -> str:
    key_id = store.create()
    place.blobs[key_id] = place.kms.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    place.kms.create_grant(KeyId=key_id, GranteePrincipal=PRINCIPAL, Operations=["Encrypt"])
    if "Disabled" in state:
        place.kms.disable_key(KeyId=key_id)
    if state == "PendingDeletion":
        place.kms.schedule_key_deletion(KeyId=key_id)
    return key_id


def cells(table: dict[str, dict[str, str]]) -> list[tuple[str, str, str]]:
    """Return the table's cells: operation, state, outcome."""
    return [(operation, state, out) for operation, outs in table.items() for state, out in outs.items()]


@pytest.mark.aws_documented
@pytest.mark.parametrize(("operation", "state", "outcome"), cells(DOCUMENTED))
def test_operation_in_state(place: Place, operation: str, state: str, outcome: str) -> None:
    """Each operation on a key is allowed or refused in each of its states as the documentation says."""
    check(place, operation, state, outcome)


@pytest.mark.inferred(
    reason="That keys in custom key stores have none of these is documented; the texts follow templates that"
    " are recorded for other keys, and that the state is not looked at first is a guess."
)
@pytest.mark.parametrize(("operation", "state", "outcome"), cells(INFERRED))
def test_operation_for_other_keys(place: Place, operation: str, state: str, outcome: str) -> None:
    """What is for asymmetric, HMAC and multi-Region keys is refused in every state."""
    check(place, operation, state, outcome)


@pytest.mark.inferred(
    reason="The model declares this exception and InvalidKeyUsageException; one was chosen."
)
def test_get_public_key_of_a_symmetric_key(place: Place) -> None:
    """A symmetric key has no public half in any state."""
    for state in STATES:
        with pytest.raises(ClientError) as refused:
            place.kms.get_public_key(KeyId=place.ids["DescribeKey", state])
        assert refused.value.response["Error"]["Code"] == "UnsupportedOperationException"


@pytest.mark.aws_documented
def test_every_operation_is_in_a_table() -> None:
    """The two tables name each operation once."""
    assert DOCUMENTED.keys() | INFERRED.keys() == OPERATIONS.keys()
    assert not DOCUMENTED.keys() & INFERRED.keys()


def check(place: Place, operation: str, state: str, outcome: str) -> None:
    """Try the operation on the cell's key."""
    place.done.add((operation, state))
    key_id = place.ids[operation, state]
    before = place.kms.describe_key(KeyId=key_id)["KeyMetadata"]
    shown = state.partition(" ")[0]
    assert before["KeyState"] == shown
    if outcome == OK:
        OPERATIONS[operation](place, key_id)
        after = place.kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"]
        assert after == AFTERWARDS.get((operation, state), shown)
        return
    with pytest.raises(ClientError) as refused:
        OPERATIONS[operation](place, key_id)
    error = refused.value.response["Error"]
    assert f"{error['Code']}: {error['Message']}" == outcome.format(arn=before["Arn"])
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert place.kms.describe_key(KeyId=key_id)["KeyMetadata"] == before
