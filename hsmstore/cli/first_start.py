"""The demo key store: made on the first start of a data directory, and never again.

`demo.json` in the data directory says how far that went. It is written before anything is made, so that
a start after a crash finishes what was begun instead of making a second one; it stays when the store is
deleted, so that what a user has deleted stays deleted. A registry that is in use already gets no demo.
"""

from pathlib import Path
from typing import Final

import msgspec

from hsmstore.cli.client import Simulator
from hsmstore.cli.draw import drawn_bytes
from hsmstore.cli.views import ClusterView, CreatedView, StoreView

MARKER: Final = "demo.json"
NAME: Final = "demo"
PASSWORD_BYTES: Final = 16  # 32 hexadecimal digits, the longest that a kmsuser may have


class Marker(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What `demo.json` holds. `complete` is False from the first request until the store is connecting."""

    complete: bool
    custom_key_store_id: str | None = None


def demo_key_store(simulator: Simulator, data_dir: Path) -> str | None:
    """Return the id of the demo key store, made and connecting if this is the first start.

    None: the registry was in use before there was a demo.
    """
    marker = _read(data_dir)
    if marker is None and (_clusters(simulator) or simulator.key_stores()):
        marker = _write(data_dir, Marker(complete=True))
    if marker is not None and marker.complete:
        return marker.custom_key_store_id
    _write(data_dir, Marker(complete=False))
    key_store_id = _finish(simulator)
    _write(data_dir, Marker(complete=True, custom_key_store_id=key_store_id))
    return key_store_id


def _finish(simulator: Simulator) -> str:
    """Do what is left of: a cluster, a key store on it, its connecting."""
    stores = simulator.read(simulator.key_stores(), list[StoreView])
    store = next((store for store in stores if store.custom_key_store_name == NAME), None)
    key_store_id = store.custom_key_store_id if store else _create(simulator)
    if store is None or store.connection_state == "DISCONNECTED":
        simulator.kms("ConnectCustomKeyStore", CustomKeyStoreId=key_store_id)
    return key_store_id


def _create(simulator: Simulator) -> str:
    password = drawn_bytes(simulator, PASSWORD_BYTES, None).hex()
    cluster = _cluster(simulator, password)
    created = simulator.kms(
        "CreateCustomKeyStore",
        CustomKeyStoreName=NAME,
        CloudHsmClusterId=cluster.cloud_hsm_cluster_id,
        KeyStorePassword=password,
        TrustAnchorCertificate=cluster.trust_anchor_certificate,
    )
    return simulator.read(created, CreatedView).custom_key_store_id


def _cluster(simulator: Simulator, password: str) -> ClusterView:
    """Return a new cluster, or the one that an interrupted start has left behind."""
    left_behind = _clusters(simulator)
    if not left_behind:
        made = simulator.manage("POST", "clusters", KmsuserPassword=password, **simulator.scope)
        return simulator.read(made, ClusterView)
    cluster = left_behind[0]  # the marker was written into an empty registry, so it is ours
    simulator.manage("PUT", "clusters", cluster.cloud_hsm_cluster_id, "kmsuser", Password=password)
    return cluster


def _clusters(simulator: Simulator) -> list[ClusterView]:
    return simulator.read(
        simulator.manage("GET", "clusters", **simulator.scope).get("Clusters"), list[ClusterView]
    )


def _read(data_dir: Path) -> Marker | None:
    try:
        return msgspec.json.decode((data_dir / MARKER).read_bytes(), type=Marker)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:  # whatever happened to the file, there has been a first start
        return Marker(complete=True)


def _write(data_dir: Path, marker: Marker) -> Marker:
    draft = data_dir / f"{MARKER}.new"
    draft.write_bytes(msgspec.json.encode(marker))
    draft.replace(data_dir / MARKER)
    return marker
