"""Grants of keys, through boto3."""

from typing import Any

import pytest

from tests.wire.keys import NO_KEY, Keys, fresh
from tests.wire.refusals import code, refusal

READER = "arn:aws:iam::121212121212:role/reader"
KEEPER = "arn:aws:iam::121212121212:user/keeper"


def grant(keys: Keys, key_id: str, **members: Any) -> dict[str, Any]:
    """Grant somebody the use of the key."""
    given = {"GranteePrincipal": READER, "Operations": ["Encrypt", "Decrypt"]} | members
    answer: dict[str, Any] = keys.kms.create_grant(KeyId=key_id, **given)
    return answer


def listed(keys: Keys, key_id: str, **members: Any) -> list[dict[str, Any]]:
    """Return the key's grants."""
    grants: list[dict[str, Any]] = keys.kms.list_grants(KeyId=key_id, **members)["Grants"]
    return grants


@pytest.mark.aws_documented
def test_what_is_listed_of_a_grant(keys: Keys) -> None:
    """A grant is listed with all that it was given."""
    key_id = keys.create()
    constraints = {"EncryptionContextSubset": {"tenant": "blue"}}
    made = grant(keys, key_id, Name="nightly", RetiringPrincipal=KEEPER, Constraints=constraints)
    (entry,) = listed(keys, key_id)
    assert entry == {
        "KeyId": keys.arn(key_id),
        "GrantId": made["GrantId"],
        "Name": "nightly",
        "CreationDate": entry["CreationDate"],
        "GranteePrincipal": READER,
        "RetiringPrincipal": KEEPER,
        "IssuingAccount": f"arn:aws:iam::{keys.account}:root",
        "Operations": ["Encrypt", "Decrypt"],
        "Constraints": constraints,
    }
    assert len(made["GrantId"]) == 64


@pytest.mark.aws_documented
def test_the_same_grant_again(keys: Keys) -> None:
    """A named grant that is asked for again is the one there is, with another token."""
    key_id = keys.create()
    first, again = (grant(keys, key_id, Name="nightly") for _ in range(2))
    assert first["GrantId"] == again["GrantId"]
    assert first["GrantToken"] != again["GrantToken"]
    other = grant(keys, key_id, Name="nightly", Operations=["Encrypt"])
    unnamed = [grant(keys, key_id)["GrantId"] for _ in range(2)]
    assert len({first["GrantId"], other["GrantId"], *unnamed}) == len(listed(keys, key_id)) == 4


@pytest.mark.aws_documented
def test_the_three_ways_to_end_a_grant(keys: Keys) -> None:
    """A grant is revoked by its id, or retired by its token, or by its id and key; then it is gone."""
    key_id = keys.create()
    revoked, by_token, by_id, kept = (grant(keys, key_id) for _ in range(4))
    keys.kms.revoke_grant(KeyId=key_id, GrantId=revoked["GrantId"])
    keys.kms.retire_grant(GrantToken=by_token["GrantToken"])
    keys.kms.retire_grant(KeyId=keys.arn(key_id), GrantId=by_id["GrantId"])
    assert [entry["GrantId"] for entry in listed(keys, key_id)] == [kept["GrantId"]]
    assert code(keys.kms.revoke_grant, KeyId=key_id, GrantId=revoked["GrantId"]) == "NotFoundException"
    assert code(keys.kms.retire_grant, GrantToken=by_token["GrantToken"]) == "NotFoundException"
    assert code(keys.kms.revoke_grant, KeyId=keys.create(), GrantId=kept["GrantId"]) == "NotFoundException"


@pytest.mark.aws_documented
def test_a_dry_run_changes_nothing(keys: Keys) -> None:
    """With DryRun a grant is neither made nor ended, and the refusal says that it would have been."""
    key_id = keys.create()
    made = grant(keys, key_id)
    calls: list[tuple[Any, dict[str, Any]]] = [
        (keys.kms.create_grant, {"KeyId": key_id, "GranteePrincipal": READER, "Operations": ["Encrypt"]}),
        (keys.kms.revoke_grant, {"KeyId": key_id, "GrantId": made["GrantId"]}),
        (keys.kms.retire_grant, {"GrantToken": made["GrantToken"]}),
    ]
    for call, members in calls:
        refused = refusal(call, DryRun=True, **members)
        assert refused == (
            400,
            "DryRunOperationException",
            "The request would have succeeded, but the DryRun option is set.",
        )
    assert [entry["GrantId"] for entry in listed(keys, key_id)] == [made["GrantId"]]
    missing = {"KeyId": key_id, "GrantId": "0" * 64, "DryRun": True}
    assert code(keys.kms.revoke_grant, **missing) == "NotFoundException"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"GranteePrincipal": None}, "ValidationException"),
    ({"GranteeServicePrincipal": "s3.us-east-1.amazonaws.com"}, "ValidationException"),
    (
        {"RetiringPrincipal": KEEPER, "RetiringServicePrincipal": "s3.us-east-1.amazonaws.com"},
        "ValidationException",
    ),
    ({"Operations": []}, "ValidationException"),
    ({"Operations": ["Encrypt", "Sign"]}, "ValidationException"),
    ({"Operations": ["GetPublicKey"]}, "ValidationException"),
    (
        {"Constraints": {"EncryptionContextEquals": {str(number): "x" for number in range(9)}}},
        "ValidationException",
    ),
    ({"Constraints": {"EncryptionContextSubset": {"k": "x" * 385}}}, "ValidationException"),
    ({"GranteePrincipal": "somebody"}, "InvalidArnException"),
    ({"RetiringPrincipal": "arn:aws:s3:::bucket"}, "InvalidArnException"),
    ({"GrantTokens": ["x"]}, "InvalidGrantTokenException"),
]


@pytest.mark.inferred(reason="The rules are documented, which exception says so mostly is not.")
@pytest.mark.parametrize(("members", "exception"), REFUSED, ids=[str(members)[:60] for members, _ in REFUSED])
def test_a_grant_that_cannot_be(keys: Keys, members: dict[str, Any], exception: str) -> None:
    """A grant needs one grantee that is a principal, operations of symmetric keys, and small constraints."""
    key_id = keys.create()
    given = {"GranteePrincipal": READER, "Operations": ["Encrypt"], "KeyId": key_id} | members
    given = {name: value for name, value in given.items() if value is not None}
    assert code(keys.kms.create_grant, **given) == exception
    assert listed(keys, key_id) == []


@pytest.mark.aws_documented
def test_a_grant_with_the_token_of_another(keys: Keys) -> None:
    """Grant tokens are taken where they were made here; those of another account are not."""
    key_id = keys.create()
    token = grant(keys, key_id, Operations=["CreateGrant"])["GrantToken"]
    assert grant(keys, key_id, GrantTokens=[token])
    elsewhere = keys.server.kms(account="999900001111")
    assert code(elsewhere.retire_grant, GrantToken=token) == "InvalidGrantTokenException"


@pytest.mark.inferred(
    reason="The text for RetireGrant is that of another emulator, which says to have it of AWS."
)
def test_which_grant_is_meant(keys: Keys) -> None:
    """A grant is named in one way, and its id must be one."""
    key_id = keys.create()
    made = grant(keys, key_id)
    both = {name: made[name] for name in ("GrantId", "GrantToken")} | {"KeyId": key_id}
    for members in ({}, {"KeyId": key_id}, {"GrantId": made["GrantId"]}, both):
        refused = refusal(keys.kms.retire_grant, **members)
        assert refused == (
            400,
            "ValidationException",
            "Grant token OR (grant ID, key ID) must be specified",
        )
    assert code(keys.kms.revoke_grant, KeyId=key_id, GrantId="x") == "InvalidGrantIdException"
    assert code(keys.kms.list_grants, KeyId=key_id, GrantId="x") == "InvalidGrantIdException"
    assert code(keys.kms.list_grants, KeyId=NO_KEY) == "NotFoundException"


@pytest.mark.aws_documented
def test_grants_are_listed_by_grantee_and_id(keys: Keys) -> None:
    """ListGrants lists those to one grantee, or one by its id."""
    key_id = keys.create()
    reader = grant(keys, key_id)["GrantId"]
    keeper = grant(keys, key_id, GranteePrincipal=KEEPER)["GrantId"]
    assert [entry["GrantId"] for entry in listed(keys, key_id, GranteePrincipal=READER)] == [reader]
    assert [entry["GrantId"] for entry in listed(keys, key_id, GrantId=keeper)] == [keeper]
    assert listed(keys, key_id, GrantId=keeper, GranteePrincipal=READER) == []
    assert listed(keys, key_id, GrantId="0" * 64) == []


@pytest.mark.aws_documented
@pytest.mark.parametrize("size", [1, 2, 100])
def test_retirable_grants_page_by_page(keys: Keys, size: int) -> None:
    """ListRetirableGrants lists the grants of all keys that one principal may retire."""
    principal = f"arn:aws:iam::121212121212:role/{fresh('retiring')}"
    made = {
        grant(keys, key_id, RetiringPrincipal=principal)["GrantId"]
        for key_id in [keys.create(), keys.create()]
        for _ in range(2)
    }
    grant(keys, keys.create(), RetiringPrincipal=KEEPER)
    found: list[str] = []
    marker: dict[str, str] = {}
    while True:
        page = keys.kms.list_retirable_grants(RetiringPrincipal=principal, Limit=size, **marker)
        assert len(page["Grants"]) <= size
        found += [entry["GrantId"] for entry in page["Grants"]]
        if not page["Truncated"]:
            break
        marker = {"Marker": page["NextMarker"]}
    assert set(found) == made
    assert len(found) == 4
    assert code(keys.kms.list_retirable_grants) == "ValidationException"


@pytest.mark.aws_documented
def test_grants_to_a_service(keys: Keys) -> None:
    """A grantee may be a service."""
    key_id = keys.create()
    service = {"GranteeServicePrincipal": "s3.us-east-1.amazonaws.com"}
    keys.kms.create_grant(KeyId=key_id, Operations=["Decrypt"], **service)
    grant(keys, key_id)
    (entry,) = listed(keys, key_id, **service)
    assert entry["GranteeServicePrincipal"] == service["GranteeServicePrincipal"]
    assert "GranteePrincipal" not in entry
