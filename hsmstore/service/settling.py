"""Making a fact of everything that is due: of key stores first, then of keys."""

from hsmstore.service import lifecycle
from hsmstore.service.keys.material import settle_keys
from hsmstore.service.world import World


def settle(world: World) -> bool:
    """Settle what is due, and tell whether that went well; one failure stops no other."""
    stores_went_well = lifecycle.settle(world)
    return settle_keys(world) and stores_went_well
