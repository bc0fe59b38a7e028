"""Setting the fault plan, and what a fault does to a call or a draw."""

from typing import Annotated, Final

import msgspec

from hsmstore.domain.errors import (
    ERRORS,
    AwsError,
    CloudHsmInvalidRequestException,
    CloudHsmResourceNotFoundException,
    DependencyTimeoutException,
)
from hsmstore.domain.faults import Effect, Fault, Occasion, Phase
from hsmstore.domain.identifiers import new_fault_id
from hsmstore.domain.keystore import ConnectionErrorCode
from hsmstore.service.shapes import EMPTY, ClusterId, Empty, KeyStoreId, Request, Response
from hsmstore.service.world import Call, World

POLL: Final = 0.02  # seconds between two looks whether a hanging call may go on

_AT_ONCE: Final = frozenset({Effect.EXCEPTION, Effect.LATENCY, Effect.TIMEOUT, Effect.DROP})


class ConnectionDropped(Exception):
    """The connection of this call is to be closed without an answer."""


class AddFaultRequest(Request, frozen=True):
    """One entry of the plan; the members are those of `domain.faults.Fault`."""

    point: str
    effect: Effect
    error: str | None = None
    seconds: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 0.0
    custom_key_store_id: KeyStoreId | None = None
    cluster_id: ClusterId | None = None
    times: Annotated[int, msgspec.Meta(ge=1)] | None = None
    every: Annotated[int, msgspec.Meta(ge=1)] | None = None
    probability: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    seed: int | None = None
    until: float | None = None


class FaultRequest(Request, frozen=True):
    """Which fault."""

    fault_id: str


class ListFaultsRequest(Request, frozen=True):
    """Nothing to say."""


class FaultDescription(Response, frozen=True, kw_only=True):
    """A fault of the plan and how often it has been met; `until` is in seconds since the epoch."""

    fault_id: str
    point: str
    effect: Effect
    error: str | None = None
    seconds: float = 0.0
    custom_key_store_id: str | None = None
    cluster_id: str | None = None
    times: int | None = None
    every: int | None = None
    probability: float | None = None
    seed: int
    until: float | None = None
    seen: int
    struck: int


class ListFaultsResponse(Response, frozen=True):
    """The plan, in the order in which faults are tried."""

    faults: list[FaultDescription]


def add_fault(request: AddFaultRequest, _: Call, world: World) -> FaultDescription:
    """Add a fault at the end of the plan. Without a seed one is drawn, and told.

    Raises:
        CloudHsmInvalidRequestException: the effect does not go with the point, or names an unknown error.

    """
    _check(request)
    seed = request.seed
    fault = Fault(
        id=new_fault_id(world.entropy.random_bytes),
        point=request.point,
        effect=request.effect,
        error=request.error,
        seconds=request.seconds,
        key_store_id=request.custom_key_store_id,
        cluster_id=request.cluster_id,
        times=request.times,
        every=request.every,
        probability=request.probability,
        seed=int.from_bytes(world.entropy.random_bytes(4)) if seed is None else seed,
        until=request.until,
    )
    world.faults.change(lambda plan: (*plan, fault))
    return _description(fault)


def list_faults(_: ListFaultsRequest, __: Call, world: World) -> ListFaultsResponse:
    """List the plan."""
    return ListFaultsResponse(faults=[_description(fault) for fault in world.faults.faults])


def remove_fault(request: FaultRequest, _: Call, world: World) -> Empty:
    """Take one fault out of the plan; what it holds up goes on.

    Raises:
        CloudHsmResourceNotFoundException: there is none of this id.

    """
    if request.fault_id not in {fault.id for fault in world.faults.faults}:
        raise CloudHsmResourceNotFoundException(f"Fault {request.fault_id} does not exist.")
    world.faults.change(lambda plan: tuple(fault for fault in plan if fault.id != request.fault_id))
    return EMPTY


def clear_faults(_: ListFaultsRequest, __: Call, world: World) -> Empty:
    """Empty the plan."""
    world.faults.change(lambda _: ())
    return EMPTY


def strike(world: World, occasion: Occasion) -> None:
    """Let the plan do to a call or a draw what it has in store for it.

    Raises:
        AwsError: the fault's.
        DependencyTimeoutException: after the fault's time.
        ConnectionDropped: the connection is to be closed.

    """
    while world.faults.hangs(occasion):
        world.clock.pause(POLL)
    for fault in world.faults.meet(occasion, _AT_ONCE):
        world.clock.pause(fault.seconds)
        if fault.effect is Effect.DROP:
            raise ConnectionDropped
        if fault.effect is Effect.TIMEOUT:
            raise DependencyTimeoutException(f"The dependency did not answer within {fault.seconds:g} s.")
        if fault.effect is Effect.EXCEPTION:
            raise injected(fault)


def injected(fault: Fault) -> AwsError:
    """Return the exception that the fault names."""
    text = f"Injected by {fault.id} of the fault plan."
    return ERRORS[fault.error or "KMSInternalException"](
        None if fault.error == "ThrottlingException" else text
    )


def _check(request: AddFaultRequest) -> None:
    phase = request.point in {Phase.CONNECT, Phase.DISCONNECT}
    allowed = {
        Effect.CONNECTION_ERROR: request.point == Phase.CONNECT,
        Effect.LATENCY: True,
        Effect.HANG: True,
    }.get(request.effect, not phase)
    if not allowed:
        raise CloudHsmInvalidRequestException(
            f"The effect {request.effect} does not go with the point {request.point}."
        )
    if request.effect is Effect.CONNECTION_ERROR and request.error not in set(ConnectionErrorCode):
        raise CloudHsmInvalidRequestException(
            f"Error must be a ConnectionErrorCode: {', '.join(ConnectionErrorCode)}."
        )
    if request.effect is Effect.EXCEPTION and request.error not in ERRORS:
        raise CloudHsmInvalidRequestException(f"Error must be one of {', '.join(sorted(ERRORS))}.")


def _description(fault: Fault) -> FaultDescription:
    return FaultDescription(
        fault_id=fault.id,
        point=fault.point,
        effect=fault.effect,
        error=fault.error,
        seconds=fault.seconds,
        custom_key_store_id=fault.key_store_id,
        cluster_id=fault.cluster_id,
        times=fault.times,
        every=fault.every,
        probability=fault.probability,
        seed=fault.seed,
        until=fault.until,
        seen=fault.seen,
        struck=fault.struck,
    )
