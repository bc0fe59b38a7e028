"""What a registry tells of the proxies of external key stores: the port."""

from typing import Protocol

from hsmstore.domain.keystore import KeyStore, XksBacking


class ProxyUnit(Protocol):
    """The part of a Unit that finds stores by their proxies."""

    def key_stores_beside(self, store: KeyStore, backing: XksBacking) -> list[KeyStore]:
        """Return other external stores of the scope that `backing` meets, in order of (created_at, id).

        The first of those with its URI, of those at its endpoint in a VPC, of those at its endpoint where it
        is in a VPC itself, and of those with its VPC endpoint service. No other store comes before them that
        could refuse `backing` to `store`.
        """
