"""ConnectCustomKeyStore and DisconnectCustomKeyStore: the start of each; `lifecycle` ends them."""

from hsmstore.domain.connection import Action, ConnectionState
from hsmstore.domain.keystore import CloudHsmBacking
from hsmstore.service import lifecycle
from hsmstore.service.cloudhsm import require_active
from hsmstore.service.shapes import EMPTY, Empty, KeyStoreRequest
from hsmstore.service.world import Call, World, starting_again


@starting_again
def connect_custom_key_store(request: KeyStoreRequest, call: Call, world: World) -> Empty:
    """Start connecting, and answer; while CONNECTING or CONNECTED there is nothing to start.

    Raises:
        CustomKeyStoreNotFoundException, CustomKeyStoreInvalidStateException: as documented.
        CloudHsmClusterNotActiveException: found at once; the store stays DISCONNECTED.

    """
    store = lifecycle.find(world, call.scope, request.custom_key_store_id)
    call.recording.about(store)
    store.require(Action.CONNECT)
    if store.state is not ConnectionState.DISCONNECTED:
        return EMPTY
    if isinstance(store.backing, CloudHsmBacking):
        with world.registry.reading() as unit:
            cluster = unit.cluster(store.backing.cluster_id)
        if cluster is not None:  # one that is gone is found out while CONNECTING
            require_active(cluster)
    lifecycle.settle_store(world, lifecycle.connect(world, store, call.recording))
    return EMPTY


@starting_again
def disconnect_custom_key_store(request: KeyStoreRequest, call: Call, world: World) -> Empty:
    """Start disconnecting, and answer. From the answer on the store gives no byte.

    Raises:
        CustomKeyStoreNotFoundException, CustomKeyStoreInvalidStateException: as documented.

    """
    store = lifecycle.find(world, call.scope, request.custom_key_store_id)
    call.recording.about(store)
    store.require(Action.DISCONNECT)
    lifecycle.settle_store(world, lifecycle.begin_disconnect(world, store, call.recording))
    return EMPTY
