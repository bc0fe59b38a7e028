"""Setting the fault plan, and what a fault does to a call or a draw."""

import logging
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final

import msgspec

from hsmstore.domain.errors import (
    ERRORS,
    AwsError,
    CloudHsmInvalidRequestException,
    CloudHsmResourceNotFoundException,
    DependencyTimeoutException,
)
from hsmstore.domain.faults import HSM_CALLS, OPERATIONS, Effect, Fault, Occasion, Phase
from hsmstore.domain.identifiers import Scope, new_fault_id
from hsmstore.domain.keystore import CloudHsmBacking, ConnectionErrorCode
from hsmstore.service.shapes import EMPTY, ClusterId, Empty, KeyStoreId, Request, Response
from hsmstore.service.world import Call, World

log = logging.getLogger(__name__)

COUNT_MAX: Final = 2**53  # beyond it JSON's numbers are not exact

_OF_CALLS: Final = frozenset(Effect) - {Effect.CONNECTION_ERROR}
_PHASES: Final = frozenset({Phase.CONNECT, Phase.DISCONNECT})
_EFFECTS: Final[Mapping[Effect, frozenset[str]]] = MappingProxyType(
    {
        Effect.CONNECTION_ERROR: frozenset({Phase.CONNECT}),
        Effect.LATENCY: OPERATIONS | set(Phase),
        Effect.HANG: OPERATIONS | set(Phase),
        Effect.EXCEPTION: OPERATIONS | HSM_CALLS,
        Effect.TIMEOUT: OPERATIONS | HSM_CALLS,
        Effect.DROP: OPERATIONS | HSM_CALLS,
    }
)
"""At which points each effect can be had."""
_EXCEPTIONS: Final = frozenset(code for code, error in ERRORS.items() if error.text_member == "message")
_ERRORS: Final[Mapping[Effect, frozenset[str]]] = MappingProxyType(
    {Effect.CONNECTION_ERROR: frozenset(ConnectionErrorCode), Effect.EXCEPTION: _EXCEPTIONS}
)
"""What `error` can be, for the effects that have one; the management API's own exceptions are not KMS's."""


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
    times: Annotated[int, msgspec.Meta(ge=1, le=COUNT_MAX)] | None = None
    every: Annotated[int, msgspec.Meta(ge=1, le=COUNT_MAX)] | None = None
    probability: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    seed: Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)] | None = None
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
    seconds: float
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


def strike(world: World, scope: Scope, point: str, request: Any) -> None:
    """Let the plan do to a call or a draw what it has in store for it.

    Raises:
        AwsError: the fault's.
        DependencyTimeoutException: after the fault's time.
        ConnectionDropped: the connection is to be closed.

    """
    strike_at(world, _occasion(world, scope, point, request))


def strike_at(world: World, occasion: Occasion) -> None:
    """Let the plan do what it has in store for an occasion.

    Raises:
        AwsError, DependencyTimeoutException, ConnectionDropped: as `strike`.

    """
    for fault in world.faults.meet(occasion, _OF_CALLS):
        if fault.effect is Effect.HANG:
            _hang(world, fault)
            continue
        world.faults.wait(fault)
        if fault.effect is Effect.DROP or world.faults.ended:
            raise ConnectionDropped
        if fault.effect is Effect.TIMEOUT:
            raise DependencyTimeoutException(f"The dependency did not answer within {fault.seconds:g} s.")
        if fault.effect is Effect.EXCEPTION:
            raise injected(fault)


def _hang(world: World, fault: Fault) -> None:
    if not world.faults.hold(fault):
        log.warning("%s lets a call go without an answer: a thread must be left to serve the rest", fault.id)
        raise ConnectionDropped
    if world.faults.ended:
        raise ConnectionDropped


def _occasion(world: World, scope: Scope, point: str, request: Any) -> Occasion:
    """Say what the call is about; the cluster is the request's own or its key store's."""
    key_store_id = getattr(request, "custom_key_store_id", None)
    cluster_id = getattr(request, "cloud_hsm_cluster_id", None)
    if key_store_id is not None and any(fault.cluster_id for fault in world.faults.faults):
        with world.registry.reading() as unit:
            store = unit.key_store(scope, key_store_id)
        if store is not None and isinstance(store.backing, CloudHsmBacking):
            cluster_id = store.backing.cluster_id
    return Occasion(point, key_store_id, cluster_id)


def injected(fault: Fault) -> AwsError:
    """Return the exception that the fault names."""
    text = f"Injected by {fault.id} of the fault plan."
    return ERRORS[fault.error or "KMSInternalException"](
        None if fault.error == "ThrottlingException" else text
    )


def _check(request: AddFaultRequest) -> None:
    """Refuse what could never strike, or not as it says."""
    points, errors = _EFFECTS[request.effect], _ERRORS.get(request.effect, frozenset())
    if request.point not in points:
        raise _invalid(f"The effect {request.effect} goes with the points {_listed(points)}.")
    if errors and request.error not in errors:
        raise _invalid(f"With the effect {request.effect}, Error must be one of {_listed(errors)}.")
    if request.error is not None and not errors:
        raise _invalid(f"The effect {request.effect} has no Error.")
    if request.effect is Effect.LATENCY and not request.seconds:
        raise _invalid("The effect latency needs Seconds.")
    if request.seconds and request.effect in {Effect.CONNECTION_ERROR, Effect.HANG}:
        raise _invalid(f"The effect {request.effect} has no Seconds; latency has.")
    counted = (request.times, request.every, request.probability) != (None, None, None)
    if counted and request.effect is Effect.HANG and request.point in _PHASES:
        raise _invalid("A phase hangs until the fault is removed or over: no Times, Every or Probability.")


def _invalid(text: str) -> CloudHsmInvalidRequestException:
    return CloudHsmInvalidRequestException(text)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


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
