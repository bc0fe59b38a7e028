"""Tags of keys, through boto3."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.wire.keys import Keys, fresh
from tests.wire.refusals import Refusal, refusal


def tags(**values: str) -> list[dict[str, str]]:
    """Return tags as requests have them."""
    return [{"TagKey": key, "TagValue": value} for key, value in values.items()]


def listed(keys: Keys, key_id: str) -> dict[str, str]:
    """Return the key's tags."""
    pages = keys.kms.get_paginator("list_resource_tags").paginate(KeyId=key_id)
    return {tag["TagKey"]: tag["TagValue"] for page in pages for tag in page["Tags"]}


@pytest.mark.aws_documented
def test_tags_from_the_first_to_the_last(keys: Keys) -> None:
    """Tags are given with the key or later, written over, and removed."""
    key_id = keys.create(Tags=tags(owner="me", empty=""))
    assert listed(keys, key_id) == {"owner": "me", "empty": ""}
    keys.kms.tag_resource(KeyId=key_id, Tags=tags(owner="you", stage="test"))
    assert listed(keys, key_id) == {"owner": "you", "empty": "", "stage": "test"}
    keys.kms.untag_resource(KeyId=keys.arn(key_id), TagKeys=["owner", "nobody"])
    assert listed(keys, key_id) == {"empty": "", "stage": "test"}


REFUSED: list[tuple[list[dict[str, str]], str]] = [
    (tags(a="1") + tags(a="2"), "Duplicate tag keys"),
    (tags(**{f"k{number}": "v" for number in range(51)}), "Too many tags"),
    ([{"TagKey": "aws:mine", "TagValue": "v"}], "Tags beginning with aws: are reserved"),
]


@pytest.mark.aws_recorded
@pytest.mark.parametrize("by", ["CreateKey", "TagResource"])
@pytest.mark.parametrize(("given", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_tags_that_a_key_cannot_have(keys: Keys, given: list[dict[str, str]], message: str, by: str) -> None:
    """Duplicates, too many and AWS's own are refused in the recorded words, and nothing is changed."""
    if by == "CreateKey":
        refused = refusal(keys.kms.create_key, **keys.members(Tags=given))
    else:
        key_id = keys.create(Tags=tags(kept="yes"))
        refused = refusal(keys.kms.tag_resource, KeyId=key_id, Tags=given)
        assert listed(keys, key_id) == {"kept": "yes"}
    assert refused == Refusal(400, "TagException", message)


@pytest.mark.inferred(
    reason="The text is recorded for one request with too many, not for one too many in all."
)
def test_one_tag_too_many(keys: Keys) -> None:
    """A key has at most 50 tags; a new value of one that it has is none more."""
    key_id = keys.create(Tags=tags(**{f"k{number}": "v" for number in range(50)}))
    keys.kms.tag_resource(KeyId=key_id, Tags=tags(k0="w"))
    refused = refusal(keys.kms.tag_resource, KeyId=key_id, Tags=tags(k50="v"))
    assert refused == (400, "TagException", "Too many tags")
    assert len(listed(keys, key_id)) == 50


@pytest.mark.inferred(reason="Recorded of a key; of a value by analogy.")
@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (
            {"TagKey": "a" * 129, "TagValue": "v"},
            (
                f"Value '{'a' * 129}' at 'tags.1.member.tagKey' failed to satisfy constraint:"
                " Member must have length less than or equal to 128"
            ),
        ),
        (
            {"TagKey": "a", "TagValue": "v" * 257},
            (
                f"Value '{'v' * 257}' at 'tags.1.member.tagValue' failed to satisfy constraint:"
                " Member must have length less than or equal to 256"
            ),
        ),
    ],
    ids=["key", "value"],
)
def test_a_tag_that_is_too_long(keys: Keys, tag: dict[str, str], text: str) -> None:
    """A member of a list of structures is named by its place, from 1."""
    refused = refusal(keys.kms.create_key, **keys.members(Tags=[tag]))
    assert refused == (400, "ValidationException", f"1 validation error detected: {text}")


@pytest.mark.inferred(
    reason="Other services on the same framework show a list of scalars as a whole, with every constraint."
)
def test_a_list_of_scalars_is_shown_as_a_whole(keys: Keys) -> None:
    """Where a scalar in a list breaks a constraint, all constraints of its kind are listed."""
    members: dict[str, Any] = {"KeyId": keys.create(), "TagKeys": ["a", "b" * 129]}
    refused = refusal(keys.kms.untag_resource, **members)
    assert refused.message == (
        f"1 validation error detected: Value '[a, {'b' * 129}]' at 'tagKeys' failed to satisfy constraint:"
        " Member must satisfy constraint: [Member must have length less than or equal to 128,"
        " Member must have length greater than or equal to 1]"
    )


@pytest.mark.aws_documented
@pytest.mark.parametrize("size", [1, 3, 50])
def test_tags_page_by_page(keys: Keys, size: int) -> None:
    """Pages of any length hold every tag once."""
    given = {f"k{number}": str(number) for number in range(7)}
    key_id = keys.create(Tags=tags(**given))
    pages = list(
        keys.kms.get_paginator("list_resource_tags").paginate(
            KeyId=key_id, PaginationConfig={"PageSize": size}
        )
    )
    assert all(len(page["Tags"]) <= size and page["Truncated"] == ("NextMarker" in page) for page in pages)
    shown = [(tag["TagKey"], tag["TagValue"]) for page in pages for tag in page["Tags"]]
    assert sorted(shown) == sorted(given.items())


@pytest.mark.inferred(reason="That nothing is lost goes without saying.")
def test_tags_from_many_at_once(keys: Keys) -> None:
    """Clients that tag, name, enable and disable one key at the same time do not get in each other's way."""
    key_id = keys.create()

    def change(number: int) -> None:
        kms = keys.server.kms(account=keys.account)
        kms.tag_resource(KeyId=key_id, Tags=tags(**{f"k{number}": "v"}))
        kms.create_alias(AliasName=f"alias/{fresh('at-once')}", TargetKeyId=key_id)
        (kms.enable_key if number % 2 else kms.disable_key)(KeyId=key_id)

    with ThreadPoolExecutor(8) as clients:
        list(clients.map(change, range(16)))
    assert listed(keys, key_id) == {f"k{number}": "v" for number in range(16)}
    assert len(keys.kms.list_aliases(KeyId=key_id)["Aliases"]) == 16
