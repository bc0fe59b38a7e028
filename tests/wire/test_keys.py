"""CreateKey, DescribeKey, ListKeys and the changes of a key, through boto3."""

from contextlib import closing
from typing import Any

import pytest

from hsmstore.storage.registry import SqlRegistry
from tests.registries import REGISTRIES
from tests.server import Server
from tests.wire.keys import NO_KEY, Keys, fresh
from tests.wire.refusals import Refusal, code, refusal

METADATA = {
    "Enabled": True,
    "KeyUsage": "ENCRYPT_DECRYPT",
    "KeyState": "Enabled",
    "Origin": "AWS_CLOUDHSM",
    "KeyManager": "CUSTOMER",
    "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
    "KeySpec": "SYMMETRIC_DEFAULT",
    "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
    "MultiRegion": False,
}


@pytest.mark.aws_documented
def test_create_key(keys: Keys) -> None:
    """A key has the documented metadata, which DescribeKey repeats."""
    made = keys.kms.create_key(**keys.members(Description="payroll"))["KeyMetadata"]
    (store,) = keys.kms.describe_custom_key_stores(CustomKeyStoreId=keys.store)["CustomKeyStores"]
    assert made == METADATA | {
        "AWSAccountId": keys.account,
        "KeyId": made["KeyId"],
        "Arn": keys.arn(made["KeyId"]),
        "CreationDate": made["CreationDate"],
        "Description": "payroll",
        "CustomKeyStoreId": keys.store,
        "CloudHsmClusterId": store["CloudHsmClusterId"],
    }
    assert keys.described(made["KeyId"]) == made


@pytest.mark.aws_documented
@pytest.mark.parametrize("more", [{"KeySpec": "SYMMETRIC_DEFAULT"}, {"KeyUsage": "ENCRYPT_DECRYPT"}], ids=str)
def test_create_key_with_the_defaults_said(keys: Keys, more: dict[str, str]) -> None:
    """What a key in a key store is anyway may be said."""
    assert keys.create(**more, MultiRegion=False)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"}, "UnsupportedOperationException"),
    ({"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}, "UnsupportedOperationException"),
    (
        {"CustomerMasterKeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"},
        "UnsupportedOperationException",
    ),
    ({"KeyUsage": "SIGN_VERIFY"}, "UnsupportedOperationException"),
    ({"MultiRegion": True}, "UnsupportedOperationException"),
    ({"XksKeyId": "external-1"}, "ValidationException"),
    ({"KeySpec": "SYMMETRIC_DEFAULT", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT"}, "ValidationException"),
    ({"Origin": "AWS_KMS"}, "ValidationException"),
    ({"Origin": "EXTERNAL"}, "ValidationException"),
    ({"Origin": "EXTERNAL_KEY_STORE"}, "ValidationException"),
    ({"Origin": "EXTERNAL_KEY_STORE", "XksKeyId": "external-1"}, "UnsupportedOperationException"),
    ({"CustomKeyStoreId": "cks-0"}, "CustomKeyStoreNotFoundException"),
]


@pytest.mark.inferred(
    reason="That custom key stores have no such keys is documented, which of the exceptions says so is not."
)
@pytest.mark.parametrize(("members", "exception"), REFUSED, ids=[str(members) for members, _ in REFUSED])
def test_create_key_that_no_key_store_has(keys: Keys, members: dict[str, Any], exception: str) -> None:
    """Keys that are not symmetric, multi-Region or of another origin are made in no CloudHSM key store."""
    before = len(keys.kms.list_keys(Limit=1000)["Keys"])
    assert code(keys.kms.create_key, **keys.members(**members)) == exception
    assert len(keys.kms.list_keys(Limit=1000)["Keys"]) == before


@pytest.mark.aws_recorded
def test_create_key_needs_a_usage(keys: Keys) -> None:
    """An asymmetric key spec without a usage is refused in the recorded words."""
    assert refusal(keys.kms.create_key, **keys.members(KeySpec="RSA_2048")) == Refusal(
        400,
        "ValidationException",
        "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
    )


@pytest.mark.simulator_only
@pytest.mark.parametrize("members", [{}, {"Origin": "AWS_KMS"}, {"Origin": "EXTERNAL"}], ids=str)
def test_standard_keys_are_refused(server: Server, members: dict[str, str]) -> None:
    """A key outside of custom key stores is refused in a sentence that says what to do instead."""
    refused = refusal(server.kms().create_key, **members)
    assert refused[:2] == (400, "UnsupportedOperationException")
    assert "custom key stores only" in refused.message
    assert "--upstream" in refused.message


@pytest.mark.inferred(reason="The text is ours.")
@pytest.mark.parametrize("origin", ["AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"])
def test_create_key_needs_a_key_store(server: Server, origin: str) -> None:
    """An Origin of a key store's needs a CustomKeyStoreId."""
    refused = refusal(server.kms().create_key, Origin=origin)
    assert refused == (400, "ValidationException", f"CustomKeyStoreId is required for an Origin of {origin}.")


@pytest.mark.aws_documented
def test_create_key_needs_a_connected_key_store(server: Server) -> None:
    """A key store that is not connected takes no key, of whichever type it is."""
    kms = server.kms()
    store = server.new_store(fresh("disconnected"))
    invalid = "CustomKeyStoreInvalidStateException"
    assert code(kms.create_key, Origin="AWS_CLOUDHSM", CustomKeyStoreId=store) == invalid
    external = {"CustomKeyStoreId": server.new_external_store(fresh("external")), "XksKeyId": "key-1"}
    assert code(kms.create_key, Origin="EXTERNAL_KEY_STORE", **external) == invalid


@pytest.mark.aws_documented
def test_create_key_needs_two_active_hsms(server: Server) -> None:
    """Two active HSMs in different zones are needed to make a key; one is enough to go on."""
    keys = Keys.on(server, fresh("two hsms"))
    key_id = keys.create()
    (store,) = keys.kms.describe_custom_key_stores(CustomKeyStoreId=keys.store)["CustomKeyStores"]
    cluster = f"/clusters/{store['CloudHsmClusterId']}"
    hsm = server.manage("GET", cluster)[1]["Hsms"][0]["HsmId"]
    assert server.manage("POST", f"{cluster}/hsms/{hsm}/stop")[0] == 200
    exception = "CloudHsmClusterInvalidConfigurationException"
    assert code(keys.kms.create_key, **keys.members()) == exception
    assert keys.state(key_id) == "Enabled"
    assert server.manage("POST", f"{cluster}/hsms/{hsm}/start")[0] == 200
    assert keys.create()


@pytest.mark.inferred(reason="Which exception the documentation leaves open; GenerateRandom's is taken.")
def test_create_key_while_the_cluster_is_out_of_reach(server: Server) -> None:
    """A cluster that cannot be reached makes no key, and leaves none."""
    keys = Keys.on(server, fresh("out of reach"), account="121212127777")
    (store,) = keys.kms.describe_custom_key_stores(CustomKeyStoreId=keys.store)["CustomKeyStores"]
    network = f"/clusters/{store['CloudHsmClusterId']}/network"
    server.manage("PUT", network, {"Reachable": False})
    assert refusal(keys.kms.create_key, **keys.members())[:2] == (500, "KMSInternalException")
    assert keys.kms.list_keys()["Keys"] == []
    with closing(SqlRegistry(REGISTRIES.url(server.data_dir))) as registry, registry.reading() as unit:
        left = [remains for remains in unit.remains() if remains.key_store_id == keys.store]
    assert left == [], "an orphan that never was"
    server.manage("PUT", network, {"Reachable": True})
    assert keys.create()


# Which key is meant.


@pytest.mark.aws_recorded
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fake-key-id", "Invalid keyId 'fake-key-id'"),
        (NO_KEY, f"Key 'arn:aws:kms:us-east-1:121212121212:key/{NO_KEY}' does not exist"),
        (f"arn:aws:kms:eu-west-1:121212121212:key/{NO_KEY}", "Invalid arn eu-west-1"),
    ],
)
def test_no_such_key(keys: Keys, name: str, message: str) -> None:
    """A name that means no key is refused in the recorded words."""
    assert refusal(keys.kms.describe_key, KeyId=name) == Refusal(400, "NotFoundException", message)


@pytest.mark.inferred(reason="Another emulator gives the text as AWS's; no recording of it was found.")
def test_no_such_alias(keys: Keys) -> None:
    """An alias that nobody has is not found."""
    message = f"Alias {keys.alias_arn('alias/nobody')} is not found."
    assert refusal(keys.kms.describe_key, KeyId="alias/nobody") == (400, "NotFoundException", message)


@pytest.mark.aws_documented
def test_a_key_by_all_its_names(keys: Keys) -> None:
    """A key is found by its id, its ARN, an alias and the alias's ARN."""
    key_id = keys.create()
    alias = f"alias/{fresh('named')}"
    keys.kms.create_alias(AliasName=alias, TargetKeyId=keys.arn(key_id))
    for name in (key_id, keys.arn(key_id), alias, keys.alias_arn(alias)):
        assert keys.described(name)["KeyId"] == key_id


@pytest.mark.inferred(
    reason="Where an alias will not do, the documentation says so, and not what is answered."
)
def test_aliases_where_a_key_is_needed(keys: Keys) -> None:
    """An operation that takes no alias refuses one, and an ARN that is none of a key."""
    key_id = keys.create()
    alias = f"alias/{fresh('unfit')}"
    keys.kms.create_alias(AliasName=alias, TargetKeyId=key_id)
    refused = refusal(keys.kms.enable_key, KeyId=alias)
    assert refused == (400, "NotFoundException", f"Invalid keyId '{alias}'")
    for arn in (keys.alias_arn(alias), "arn:aws:kms:us-east-1:121212121212:key/x", "arn:aws:s3:::bucket"):
        assert refusal(keys.kms.enable_key, KeyId=arn)[1:] == ("InvalidArnException", f"Invalid arn {arn}")


@pytest.mark.inferred(
    reason="AWS answers AccessDeniedException where no policy allows it; here none is read."
)
def test_a_key_of_another_account(server: Server, keys: Keys) -> None:
    """A key of another account or Region is not found."""
    arn = keys.arn(keys.create())
    refused = refusal(server.kms(account="111122223333").describe_key, KeyId=arn)
    assert refused == (400, "NotFoundException", f"Key '{arn}' does not exist")
    elsewhere = server.kms(region="eu-west-1", account=keys.account)
    assert code(elsewhere.describe_key, KeyId=arn.rpartition("/")[2]) == "NotFoundException"


# Lists.


@pytest.mark.aws_documented
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 1000])
def test_list_keys_page_by_page(server: Server, limit: int) -> None:
    """Pages of any length hold every key once, and only the last has no NextMarker."""
    keys = Keys.on(server, fresh("pages"), account=f"55556666{limit:04}")
    wanted = [keys.create() for _ in range(4)]
    found: list[str] = []
    pages = keys.kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": limit})
    for page in pages:
        assert len(page["Keys"]) <= limit
        assert ("NextMarker" in page) == page["Truncated"]
        assert [entry["KeyArn"] for entry in page["Keys"]] == [
            keys.arn(entry["KeyId"]) for entry in page["Keys"]
        ]
        found += [entry["KeyId"] for entry in page["Keys"]]
    assert sorted(found) == sorted(wanted)


@pytest.mark.aws_documented
def test_list_keys_with_a_marker_of_another_list(keys: Keys) -> None:
    """A marker is good for the list that gave it."""
    for _ in range(2):
        keys.kms.create_alias(AliasName=f"alias/{fresh('marker')}", TargetKeyId=keys.create())
    marker = keys.kms.list_aliases(Limit=1)["NextMarker"]
    assert keys.kms.list_aliases(Limit=1, Marker=marker)["Aliases"]
    assert code(keys.kms.list_keys, Marker=marker) == "InvalidMarkerException"
    assert code(keys.kms.list_keys, Marker="x") == "InvalidMarkerException"


@pytest.mark.inferred(reason="Keys shared through RAM are not simulated.")
def test_list_keys_of_other_owners(keys: Keys) -> None:
    """No key comes from another account."""
    keys.create()
    assert keys.kms.list_keys(ResourceOwners=["OTHER_ACCOUNTS_VIA_RAM"])["Keys"] == []
    assert keys.kms.list_keys(ResourceOwners=["SELF", "OTHER_ACCOUNTS_VIA_RAM"])["Keys"]


# What else a key can be told.


@pytest.mark.aws_documented
def test_description(keys: Keys) -> None:
    """A key is described anew, or not at all."""
    key_id = keys.create(Description="one")
    keys.kms.update_key_description(KeyId=key_id, Description="two")
    assert keys.described(key_id)["Description"] == "two"
    keys.kms.update_key_description(KeyId=key_id, Description="")
    assert keys.described(key_id)["Description"] == ""


@pytest.mark.aws_documented
def test_operations_without_output_answer_with_an_empty_body(keys: Keys) -> None:
    """The body is empty where the model has no output."""
    key, alias = {"KeyId": keys.create()}, {"AliasName": f"alias/{fresh('empty')}"}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("DisableKey", key),
        ("EnableKey", key),
        ("UpdateKeyDescription", key | {"Description": "x"}),
        ("TagResource", key | {"Tags": []}),
        ("CreateAlias", alias | {"TargetKeyId": key["KeyId"]}),
        ("DeleteAlias", alias),
    ]
    for operation, members in calls:
        assert keys.call(operation, members)[::2] == (200, b"")


@pytest.mark.aws_documented
def test_a_key_store_with_keys_cannot_be_deleted(server: Server) -> None:
    """Keys keep their key store, those that are pending deletion too."""
    keys = Keys.on(server, fresh("kept"))
    key_id = keys.create()
    keys.kms.disconnect_custom_key_store(CustomKeyStoreId=keys.store)
    has_keys = "CustomKeyStoreHasCMKsException"
    assert code(keys.kms.delete_custom_key_store, CustomKeyStoreId=keys.store) == has_keys
    keys.kms.schedule_key_deletion(KeyId=key_id)
    assert code(keys.kms.delete_custom_key_store, CustomKeyStoreId=keys.store) == has_keys
