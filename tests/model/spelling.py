"""How the model's things are spelt on the wire."""

from typing import Any

from tests.model.model import Cluster, Store


def creation(store: Store) -> dict[str, Any]:
    """Return the members of the Create that makes `store`."""
    if isinstance(store.backing, Cluster):
        return {
            "CustomKeyStoreName": store.name,
            "CloudHsmClusterId": store.backing.id,
            "TrustAnchorCertificate": store.anchor,
            "KeyStorePassword": store.password,
        }
    return {
        "CustomKeyStoreName": store.name,
        "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
        "XksProxyConnectivity": "PUBLIC_ENDPOINT",
        "XksProxyUriEndpoint": store.backing.endpoint,
        "XksProxyUriPath": store.backing.path,
        "XksProxyAuthenticationCredential": credential(store.backing.letter),
    }


def credential(letter: str) -> dict[str, str]:
    """Return the proxy's credential that the model knows by one letter."""
    return {"AccessKeyId": letter * 20, "RawSecretAccessKey": letter * 43}


def given(members: dict[str, Any]) -> dict[str, Any]:
    """Return the members that are not None: the others are not sent."""
    return {name: value for name, value in members.items() if value is not None}


def without_date(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what a Describe says of a store, but for the date of its creation."""
    return {name: value for name, value in entry.items() if name != "CreationDate"}
