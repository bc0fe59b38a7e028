"""Making a fact of everything that is due: of key stores first, then of keys."""

import math

from hsmstore.service.keys.material import settle_keys
from hsmstore.service.lifecycle import settle_stores
from hsmstore.service.world import World


def next_due(world: World) -> float:
    """Return when, by the simulation's clock, something is due next; infinity where nothing is to happen."""
    with world.registry.reading() as unit:
        moment = unit.next_due()
    return math.inf if moment is None else moment


def settle(world: World) -> bool:
    """Settle what is due, and tell whether that went well; one failure stops no other.

    It is done on every tick of every replica, and mostly nothing is due: so one transaction looks for both.
    """
    now = world.clock.now()
    with world.registry.reading() as unit:
        stores, keys = unit.due_key_stores(now), unit.due_keys(now)
    stores_went_well = settle_stores(world, stores, now)
    return settle_keys(world, keys) and stores_went_well
