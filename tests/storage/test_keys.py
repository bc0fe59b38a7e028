"""What the services may rely on of the Registry's keys: whole rows, and no orphans."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsmstore.domain.errors import Conflict
from hsmstore.domain.key import Alias, Grant, KmsKey, Remains, Tag
from hsmstore.storage.migrations import upgrade
from hsmstore.storage.registry import SqlRegistry, SqlUnit
from tests.registries import REGISTRIES
from tests.storage.entities import ELSEWHERE, SCOPE, Undone, store


def key(number: int = 1, **others: object) -> KmsKey:
    """Return the `number`th key of store 1."""
    plain = KmsKey(
        id=f"00000000-0000-4000-8000-{number:012}",
        scope=SCOPE,
        store=store(),
        created_at=float(number),
        policy="{}",
    )
    return replace(plain, **others)  # type: ignore[arg-type]  # the fields of a key


def grant(number: int, owner: KmsKey, **others: object) -> Grant:
    """Return the `number`th grant of a key."""
    plain = Grant(
        id=f"{number:064}",
        scope=SCOPE,
        key_id=owner.id,
        created_at=float(number),
        grantee_principal="arn:aws:iam::123456789012:role/x",
        operations=("Encrypt", "Decrypt"),
    )
    return replace(plain, **others)  # type: ignore[arg-type]  # the fields of a grant


def alias(name: str, owner: KmsKey) -> Alias:
    """Return an alias of a key."""
    return Alias(scope=SCOPE, name=name, key_id=owner.id, created_at=1.0, updated_at=2.0)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlRegistry]:
    """Return a registry with one store, for examples that roll back what they write."""
    url = REGISTRIES.url(tmp_path_factory.mktemp("keys"))
    upgrade(url)
    registry = SqlRegistry(url)
    with registry.writing() as unit:
        unit.add_key_store(store())
    yield registry
    registry.close()


_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
_keys = st.builds(
    KmsKey,
    id=st.just(key().id),
    scope=st.just(SCOPE),
    store=st.just(store()),
    created_at=st.floats(0, 1e12),
    description=_texts,
    policy=_texts,
    enabled=st.booleans(),
    deletion_at=st.none() | st.floats(0, 1e12),
    version=st.integers(1, 2**31 - 2),
)


@given(before=_keys, after=_keys, tags=st.dictionaries(_texts, _texts, max_size=4))
def test_every_form_of_key_comes_back(
    shared: SqlRegistry, before: KmsKey, after: KmsKey, tags: dict[str, str]
) -> None:
    """What is read equals what was written, its store with it, and nothing of an old row stays behind."""
    given_tags = [Tag(key=name, value=value) for name, value in tags.items()]
    with suppress(Undone), shared.writing() as unit:
        unit.add_key(before, given_tags)
        read = unit.key(SCOPE, before.id)
        assert read == before
        assert read is not None
        assert read.store == store()
        assert {(tag.key, tag.value) for tag in unit.tags(before.id)} == set(tags.items())
        renewed = unit.replace_key(before, after)
        assert unit.key(SCOPE, before.id) == renewed == replace(after, version=before.version + 1)
        raise Undone


def test_what_hangs_on_a_key_goes_with_it(shared: SqlRegistry) -> None:
    """Aliases, tags and grants go when their key goes; those of another key stay."""
    doomed, kept = key(1), key(2)
    with suppress(Undone), shared.writing() as unit:
        for number, owner in enumerate((doomed, kept), start=1):
            unit.add_key(owner, [Tag(key="a", value="b")])
            unit.add_alias(alias(f"alias/{number}", owner))
            unit.add_grant(grant(number, owner))
        unit.remove_key(doomed)
        assert unit.key(SCOPE, doomed.id) is None
        assert unit.key_of_alias(SCOPE, "alias/1") is None
        assert [each.name for each in unit.aliases(SCOPE)] == ["alias/2"]
        assert [each.key_id for each in unit.grants(SCOPE)] == [kept.id]
        assert unit.tags(doomed.id) == []
        assert unit.tags(kept.id) == [Tag(key="a", value="b")]
        assert unit.key_of_alias(SCOPE, "alias/2") == kept
        raise Undone


def test_a_change_that_came_too_late(shared: SqlRegistry) -> None:
    """Who writes over a row that has changed since gets Conflict, and so does who adds one that is there."""
    with suppress(Undone), shared.writing() as unit:
        unit.add_key(key())
        unit.replace_key(key(), key(enabled=False))
        for late in (
            lambda: unit.replace_key(key(), key(description="late")),
            lambda: unit.remove_key(key()),
            lambda: unit.remove_alias(alias("alias/none", key())),
            lambda: unit.replace_alias(alias("alias/none", key())),
            lambda: unit.remove_grant(grant(1, key())),
        ):
            with pytest.raises(Conflict):
                late()
        raise Undone


def test_a_row_that_is_there_already(shared: SqlRegistry) -> None:
    """A key and an alias are added once."""
    for again in (lambda unit: unit.add_key(key()), lambda unit: unit.add_alias(alias("alias/x", key()))):
        with pytest.raises(Conflict):
            _added_twice(shared, again)
    with shared.reading() as unit:
        assert unit.keys(SCOPE) == []


def _added_twice(registry: SqlRegistry, again: Callable[[SqlUnit], None]) -> None:
    with registry.writing() as unit:
        unit.add_key(key())
        unit.add_alias(alias("alias/x", key()))
        again(unit)


def test_keys_in_order_and_in_their_scope(shared: SqlRegistry) -> None:
    """Keys come in order of their creation, page by page, and none of another scope."""
    with suppress(Undone), shared.writing() as unit:
        for number in (3, 1, 2):
            unit.add_key(key(number))
        assert unit.keys(SCOPE) == [key(1), key(2), key(3)]
        assert unit.keys(SCOPE, after=(1.0, key(1).id), limit=1) == [key(2)]
        assert unit.keys(ELSEWHERE[0]) == []
        assert unit.key(ELSEWHERE[1], key(1).id) is None
        assert (unit.count_keys(SCOPE), unit.count_keys_of_store(store().id)) == (3, 3)
        raise Undone


def test_due_keys(shared: SqlRegistry) -> None:
    """Those whose time has come are due, the longest due first; the first of all is due next."""
    with suppress(Undone), shared.writing() as unit:
        for number, deletion_at in ((1, None), (2, 30.0), (3, 10.0), (4, 20.0)):
            unit.add_key(key(number, deletion_at=deletion_at))
        assert [each.id for each in unit.due_keys(20.0)] == [key(3).id, key(4).id]
        assert unit.next_due() == 10.0
        raise Undone


def test_grants_by_what_is_asked_for(shared: SqlRegistry) -> None:
    """Grants are found by key, grantee and retiring principal, in order, behind a place."""
    service = "s3.us-east-1.amazonaws.com"
    with suppress(Undone), shared.writing() as unit:
        unit.add_key(key(1))
        unit.add_key(key(2))
        of_service = grant(
            2, key(1), grantee_principal=None, grantee_service=service, context_equals={"a": "b"}
        )
        wanted = [
            grant(1, key(1), retiring_principal="me"),
            of_service,
            grant(3, key(2), retiring_service="me"),
        ]
        for each in reversed(wanted):
            unit.add_grant(each)
        assert unit.grants(SCOPE) == wanted
        assert unit.grants(SCOPE, key_id=key(1).id) == wanted[:2]
        assert unit.grants(SCOPE, grantee=service) == [of_service]
        assert unit.grants(SCOPE, retiring="me") == [wanted[0], wanted[2]]
        assert unit.grants(SCOPE, after=(1.0, wanted[0].id), limit=1) == [of_service]
        assert unit.grant(SCOPE, of_service.id) == of_service
        assert unit.count_grants(key(1).id) == 2
        raise Undone


def test_remains(shared: SqlRegistry) -> None:
    """What is left of keys is kept by the key's id, the oldest first, and crossed out without a fuss."""
    left = [
        Remains(
            key_id=key(number).id,
            scope=SCOPE,
            key_store_id="cks-gone",
            cluster_id="cluster-gone",
            at=float(at),
            unfinished=bool(number % 2),
        )
        for number, at in ((1, 2), (2, 1))
    ]
    with suppress(Undone), shared.writing() as unit:
        for each in left:
            unit.add_remains(each)
        assert unit.remains() == left[::-1]
        for _ in range(2):
            unit.remove_remains(left[0].key_id)
        assert unit.remains() == [left[1]]
        raise Undone
