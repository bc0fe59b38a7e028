"""Setting the clock of the simulation."""

from collections.abc import Callable
from typing import Annotated

import msgspec

from hsmstore.domain.clock import ClockSetting
from hsmstore.service.settling import settle
from hsmstore.service.shapes import Request, Response
from hsmstore.service.world import Call, World, starting_again


class ShowClockRequest(Request, frozen=True):
    """Nothing to say."""


class AdvanceClockRequest(Request, frozen=True):
    """How far to set the clock forward, in seconds."""

    seconds: Annotated[float, msgspec.Meta(ge=0, le=10 * 366 * 86_400)]


class ScaleClockRequest(Request, frozen=True):
    """How many seconds the clock makes of a real one; 0 stops it."""

    rate: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]


class ClockDescription(Response, frozen=True, kw_only=True):
    """What the clock shows and how it runs; times are in seconds since the epoch."""

    now: float
    real: float
    rate: float


def show_clock(_: ShowClockRequest, __: Call, world: World) -> ClockDescription:
    """Show the clock."""
    return _description(world)


def advance_clock(request: AdvanceClockRequest, _: Call, world: World) -> ClockDescription:
    """Set the clock forward, and settle what is due then."""
    return _set(world, lambda setting, real: setting.advanced(real, request.seconds))


def scale_clock(request: ScaleClockRequest, _: Call, world: World) -> ClockDescription:
    """Let the clock run faster, slower, as in life (1) or not at all (0)."""
    return _set(world, lambda setting, real: setting.running(real, request.rate))


@starting_again
def _set(world: World, change: Callable[[ClockSetting, float], ClockSetting]) -> ClockDescription:
    """Change the clock in the registry, then here, and settle what is due by it. One change at a time.

    A clock that replicas share is changed from what another may have made of it a moment ago.
    """
    with world.turns.of("clock"):
        with world.registry.writing() as unit:
            before = unit.clock() if world.replica.shared else None
            setting = change(before or world.clock.setting, world.clock.real())
            unit.set_clock(setting)
        world.clock.set(setting)
    settle(world)
    return _description(world)


def _description(world: World) -> ClockDescription:
    return ClockDescription(now=world.clock.now(), real=world.clock.real(), rate=world.clock.setting.rate)
