"""The Unit's part that finds external key stores by their proxies: each question is a look into an index."""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, bindparam, select

from hsmstore.domain.keystore import KeyStore, XksBacking, XksConnectivity
from hsmstore.storage.models import key_stores
from hsmstore.storage.rows import key_store_of

_store = key_stores.c
_IN_VPC: Final = XksConnectivity.VPC_ENDPOINT_SERVICE


def _first_other(*conditions: ColumnElement[bool]) -> Select[Any]:
    in_scope = (_store.account == bindparam("account"), _store.region == bindparam("region"))
    others = select(key_stores).where(*in_scope, *conditions, _store.id != bindparam("other_than"))
    return others.order_by(_store.created_at, _store.id).limit(1)


_at_endpoint = _store.xks_uri_endpoint == bindparam("endpoint")
_AT_URI: Final = _first_other(_at_endpoint, _store.xks_uri_path == bindparam("path"))
_AT_ENDPOINT: Final = _first_other(_at_endpoint)
_AT_ENDPOINT_IN_VPC: Final = _first_other(_at_endpoint, _store.xks_connectivity == _IN_VPC.value)
_AT_SERVICE: Final = _first_other(_store.xks_vpc_endpoint_service_name == bindparam("service"))


class SqlProxyUnit:
    """Proxies in one open transaction."""

    _connection: Connection

    def key_stores_beside(self, store: KeyStore, backing: XksBacking) -> list[KeyStore]:
        """Return the first other stores of the scope that have something of the proxy in common."""
        found = {other.id: other for other in self._meeting(store, backing)}
        return sorted(found.values(), key=lambda other: (other.created_at, other.id))

    def _meeting(self, store: KeyStore, backing: XksBacking) -> Iterator[KeyStore]:
        others = {**store.scope._asdict(), "other_than": store.id}
        place = {**others, "endpoint": backing.uri_endpoint}
        if backing.connectivity is _IN_VPC:
            yield from self._found(_AT_ENDPOINT, place)
        else:
            yield from self._found(_AT_URI, {**place, "path": backing.uri_path})
            yield from self._found(_AT_ENDPOINT_IN_VPC, place)
        if backing.vpc_endpoint_service_name is not None:
            yield from self._found(_AT_SERVICE, {**others, "service": backing.vpc_endpoint_service_name})

    def _found(self, statement: Select[Any], parameters: dict[str, str]) -> Iterator[KeyStore]:
        yield from map(key_store_of, self._connection.execute(statement, parameters))
