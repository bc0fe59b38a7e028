"""External key stores are found by their proxies: the same are refused as by looking at each, by index."""

from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from hsmstore.domain.errors import AwsError
from hsmstore.domain.keystore import KeyStore, XksBacking, XksConnectivity
from hsmstore.service.xks import check_unique
from hsmstore.storage.migrations import upgrade
from hsmstore.storage.registry import SqlRegistry
from tests.registries import REGISTRIES
from tests.storage.entities import ELSEWHERE, SCOPE, Undone, store

VPC = XksConnectivity.VPC_ENDPOINT_SERVICE
ENDPOINT, URI, SERVICE = (
    f"XksProxy{what}InUseException" for what in ("UriEndpoint", "Uri", "VpcEndpointService")
)


def _proxy(
    connectivity: XksConnectivity = XksConnectivity.PUBLIC_ENDPOINT,
    endpoint: str = "https://a",
    path: str = "/kms/xks/v1",
    service: str | None = None,
) -> XksBacking:
    return XksBacking(
        connectivity=connectivity,
        uri_endpoint=endpoint,
        uri_path=path,
        access_key_id="A" * 20,
        secret_access_key=b"sealed",
        vpc_endpoint_service_name=service,
    )


_proxies = st.builds(
    _proxy,
    connectivity=st.sampled_from(XksConnectivity),
    endpoint=st.sampled_from(("https://a", "https://b")),
    path=st.sampled_from(("/1", "/2")),
    service=st.sampled_from((None, "s", "t")),
)


def _refusal_by_looking_at_each(others: Sequence[KeyStore], backing: XksBacking) -> str | None:
    """Return what the oldest store that stands in the way is the reason of, as the rules are told."""
    for other in sorted(others, key=lambda each: (each.created_at, each.id)):
        its = other.backing
        if not isinstance(its, XksBacking):
            continue
        same_endpoint = its.uri_endpoint == backing.uri_endpoint
        if same_endpoint and VPC in {its.connectivity, backing.connectivity}:
            return ENDPOINT
        if same_endpoint and its.uri_path == backing.uri_path:
            return URI
        if None is not its.vpc_endpoint_service_name == backing.vpc_endpoint_service_name:
            return SERVICE
    return None


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlRegistry]:
    """Return one registry for all examples, each of which rolls back what it writes."""
    url = REGISTRIES.url(tmp_path_factory.mktemp("shared"))
    upgrade(url)
    with closing(SqlRegistry(url)) as registry:
        yield registry


@given(proxies=st.lists(_proxies, max_size=6), wanted=_proxies, there=st.sampled_from((0, 1)), data=st.data())
def test_the_same_is_refused(
    shared: SqlRegistry, proxies: list[XksBacking], wanted: XksBacking, there: int, data: st.DataObject
) -> None:
    """Whatever is there, a store that is created or changed meets the refusal of the oldest in its way."""
    ages = data.draw(st.permutations([*range(len(proxies)), len(proxies)]))
    others = [
        replace(store(number, created_at=float(age // 2)), backing=proxy)
        for number, (proxy, age) in enumerate(zip(proxies, ages, strict=False))
    ]
    ours = replace(store(90), backing=_proxy(endpoint=wanted.uri_endpoint, path="/old"))
    refused = None
    with suppress(Undone), shared.writing() as unit:
        for other in [*others, *[ours][:there], store(91), _elsewhere(wanted)]:
            unit.add_key_store(other)
        try:
            check_unique(unit, ours, wanted)
        except AwsError as error:
            refused = type(error).__name__
        raise Undone
    assert refused == _refusal_by_looking_at_each(others, wanted)


def _elsewhere(wanted: XksBacking) -> KeyStore:
    """Return a store with the very same proxy, which another Region does not mind."""
    return replace(store(92, scope=ELSEWHERE[0]), backing=wanted)


@pytest.mark.sqlite
@pytest.mark.parametrize("wanted", [_proxy(), _proxy(VPC, service="s")], ids=["public", "vpc"])
def test_each_question_is_a_look_into_an_index(url: str, wanted: XksBacking) -> None:
    """No question goes through the stores of a scope: with ten thousand of them each would take a second."""
    upgrade(url)
    with closing(SqlRegistry(url)) as registry, registry.reading() as unit:
        connection = unit._connection  # noqa: SLF001  # to see the statements as the database gets them
        plans: list[str] = []

        def explain(*call: Any) -> None:
            _, _, statement, parameters, *_ = call
            if statement.startswith("SELECT"):
                rows = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans.append(" ".join(str(row[-1]) for row in rows))

        event.listen(connection, "before_cursor_execute", explain)
        unit.key_stores_beside(replace(store(), scope=SCOPE), wanted)
    assert len(plans) == 2
    assert all("USING INDEX ix_key_stores_proxy_" in plan for plan in plans), plans
