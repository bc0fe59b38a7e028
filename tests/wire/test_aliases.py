"""Aliases of keys, through boto3."""

import pytest

from tests.wire.keys import NO_KEY, Keys, fresh
from tests.wire.refusals import code, refusal


def new_alias(keys: Keys, key_id: str, name: str = "alias") -> str:
    """Give the key an alias; return the alias's name."""
    alias = f"alias/{fresh(name)}"
    keys.kms.create_alias(AliasName=alias, TargetKeyId=key_id)
    return alias


@pytest.mark.aws_documented
def test_an_alias_from_its_creation_to_its_end(keys: Keys) -> None:
    """An alias names its key until it names another, or is deleted; the keys stay."""
    one, other = keys.create(), keys.create()
    alias = new_alias(keys, one)
    (entry,) = keys.kms.list_aliases(KeyId=one)["Aliases"]
    assert (entry["AliasName"], entry["AliasArn"], entry["TargetKeyId"]) == (
        alias,
        keys.alias_arn(alias),
        one,
    )
    assert entry["CreationDate"] == entry["LastUpdatedDate"]
    keys.kms.update_alias(AliasName=alias, TargetKeyId=keys.arn(other))
    assert keys.described(alias)["KeyId"] == other
    assert keys.kms.list_aliases(KeyId=one)["Aliases"] == []
    (moved,) = keys.kms.list_aliases(KeyId=other)["Aliases"]
    assert moved["CreationDate"] == entry["CreationDate"]
    assert moved["LastUpdatedDate"] >= entry["LastUpdatedDate"]
    keys.kms.delete_alias(AliasName=alias)
    assert code(keys.kms.describe_key, KeyId=alias) == "NotFoundException"
    assert keys.state(one) == keys.state(other) == "Enabled"


@pytest.mark.aws_recorded
def test_an_alias_that_is_there(keys: Keys) -> None:
    """A name is given once in an account and Region, and the refusal is worded as recorded."""
    alias = new_alias(keys, keys.create())
    refused = refusal(keys.kms.create_alias, AliasName=alias, TargetKeyId=keys.create())
    message = f"An alias with the name {keys.alias_arn(alias)} already exists"
    assert refused == (400, "AlreadyExistsException", message)


@pytest.mark.inferred(reason="The text is recorded, but not of each of the three operations.")
@pytest.mark.parametrize("operation", ["create", "update", "delete"])
def test_an_alias_without_its_prefix(keys: Keys, operation: str) -> None:
    """A name that does not begin with `alias/` is refused, in the same words by all three."""
    key_id = keys.create()
    calls = {
        "create": lambda: refusal(keys.kms.create_alias, AliasName="payroll", TargetKeyId=key_id),
        "update": lambda: refusal(keys.kms.update_alias, AliasName="payroll", TargetKeyId=key_id),
        "delete": lambda: refusal(keys.kms.delete_alias, AliasName="payroll"),
    }
    refused = calls[operation]()
    assert refused[:2] == (400, "ValidationException")
    assert refused.message == (
        'Alias must start with the prefix "alias/". Please see'
        " https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
    )


@pytest.mark.inferred(reason="That `alias/aws/` is reserved is documented; what an empty name is, is not.")
@pytest.mark.parametrize("name", ["alias/aws/payroll", "alias/"])
def test_a_name_that_no_alias_can_have(keys: Keys, name: str) -> None:
    """Names that begin with `alias/aws/` are AWS's own."""
    assert (
        code(keys.kms.create_alias, AliasName=name, TargetKeyId=keys.create()) == "InvalidAliasNameException"
    )


@pytest.mark.aws_documented
def test_an_alias_of_no_key(keys: Keys) -> None:
    """An alias needs its key, and a change of one needs the alias."""
    key_id, missing = keys.create(), f"alias/{fresh('missing')}"
    not_found = "NotFoundException"
    assert code(keys.kms.create_alias, AliasName=missing, TargetKeyId=NO_KEY) == not_found
    assert code(keys.kms.update_alias, AliasName=missing, TargetKeyId=key_id) == not_found
    assert code(keys.kms.delete_alias, AliasName=missing) == not_found
    alias = new_alias(keys, key_id)
    assert code(keys.kms.create_alias, AliasName=missing, TargetKeyId=alias) == not_found


@pytest.mark.aws_documented
def test_aliases_of_a_key_are_counted(keys: Keys) -> None:
    """A key has at most 50 aliases; one more can be neither made nor moved to it."""
    key_id = keys.create()
    for _ in range(50):
        new_alias(keys, key_id, "full")
    limit = "LimitExceededException"
    assert code(keys.kms.create_alias, AliasName=f"alias/{fresh('full')}", TargetKeyId=key_id) == limit
    elsewhere = new_alias(keys, keys.create())
    assert code(keys.kms.update_alias, AliasName=elsewhere, TargetKeyId=key_id) == limit
    names = [
        entry["AliasName"]
        for page in keys.kms.get_paginator("list_aliases").paginate(
            KeyId=key_id, PaginationConfig={"PageSize": 7}
        )
        for entry in page["Aliases"]
    ]
    assert len(set(names)) == len(names) == 50
    keys.kms.update_alias(AliasName=names[0], TargetKeyId=key_id)  # it is there already


@pytest.mark.aws_documented
def test_a_key_is_listed_without_the_aliases_of_others(keys: Keys) -> None:
    """ListAliases with a KeyId lists those of that key only; without it, all."""
    one, other = keys.create(), keys.create()
    mine, theirs = new_alias(keys, one), new_alias(keys, other)
    assert [entry["AliasName"] for entry in keys.kms.list_aliases(KeyId=one)["Aliases"]] == [mine]
    pages = keys.kms.get_paginator("list_aliases").paginate()
    every = {entry["AliasName"] for page in pages for entry in page["Aliases"]}
    assert {mine, theirs} <= every
