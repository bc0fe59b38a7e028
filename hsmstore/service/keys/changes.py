"""EnableKey, DisableKey, UpdateKeyDescription, ScheduleKeyDeletion, CancelKeyDeletion."""

from dataclasses import replace
from typing import Annotated, Final

import msgspec

from hsmstore.domain.errors import ValidationException
from hsmstore.domain.key import KeyState, KmsKey
from hsmstore.domain.limits import DELETION_DAYS, DELETION_DAYS_MIN, DELETION_WINDOW_MAX
from hsmstore.service.keys.resolving import resolve
from hsmstore.service.shapes import (
    NOTHING,
    Description,
    KeyId,
    KeyRequest,
    Nothing,
    Request,
    Response,
)
from hsmstore.service.world import Call, World

DAY: Final = 86_400.0


class UpdateKeyDescriptionRequest(Request, frozen=True):
    """`UpdateKeyDescriptionRequest`."""

    key_id: KeyId
    description: Description


class ScheduleKeyDeletionRequest(Request, frozen=True):
    """`ScheduleKeyDeletionRequest`."""

    key_id: KeyId
    pending_window_in_days: Annotated[int, msgspec.Meta(ge=1, le=DELETION_WINDOW_MAX)] | None = None


class ScheduleKeyDeletionResponse(Response, frozen=True):
    """`ScheduleKeyDeletionResponse`; the date is in seconds since the epoch."""

    key_id: str
    deletion_date: float
    key_state: KeyState
    pending_window_in_days: int


class CancelKeyDeletionResponse(Response, frozen=True):
    """`CancelKeyDeletionResponse`."""

    key_id: str


def enable_key(request: KeyRequest, call: Call, world: World) -> Nothing:
    """Let a key be used; while it is Unavailable this is remembered.

    Raises:
        NotFoundException: as documented.
        KMSInvalidStateException: it is pending deletion.

    """
    return _set_enabled(request, call, world, enabled=True)


def disable_key(request: KeyRequest, call: Call, world: World) -> Nothing:
    """Let a key be used no more; while it is Unavailable this is remembered.

    Raises:
        NotFoundException: as documented.
        KMSInvalidStateException: it is pending deletion.

    """
    return _set_enabled(request, call, world, enabled=False)


def update_key_description(request: UpdateKeyDescriptionRequest, call: Call, world: World) -> Nothing:
    """Describe a key anew.

    Raises:
        NotFoundException: as documented.
        KMSInvalidStateException: it is pending deletion.

    """
    key = resolve(world, call, request.key_id)
    key.require_changeable()
    _replace(world, call, key, replace(key, description=request.description))
    return NOTHING


def schedule_key_deletion(
    request: ScheduleKeyDeletionRequest, call: Call, world: World
) -> ScheduleKeyDeletionResponse:
    """Let a key be deleted in 7 to 30 days, 30 unless it is said; until then it cannot be used.

    Raises:
        ValidationException: fewer than 7 days, or more than 30.
        NotFoundException: as documented.
        KMSInvalidStateException: it is pending deletion.

    """
    days = request.pending_window_in_days or DELETION_DAYS
    if not DELETION_DAYS_MIN <= days <= DELETION_DAYS:
        raise ValidationException(
            f"PendingWindowInDays must be between {DELETION_DAYS_MIN} and {DELETION_DAYS}."
        )
    key = resolve(world, call, request.key_id)
    key.require_changeable()
    deletion_at = world.clock.now() + days * DAY
    answer = ScheduleKeyDeletionResponse(
        key_id=key.arn,
        deletion_date=round(deletion_at, 3),
        key_state=KeyState.PENDING_DELETION,
        pending_window_in_days=days,
    )
    _replace(world, call, key, replace(key, deletion_at=deletion_at), answer)
    return answer


def cancel_key_deletion(request: KeyRequest, call: Call, world: World) -> CancelKeyDeletionResponse:
    """Let a key stay; it is Disabled then.

    Raises:
        NotFoundException: as documented.
        KMSInvalidStateException: it is not pending deletion.

    """
    key = resolve(world, call, request.key_id)
    key.require_pending_deletion()
    answer = CancelKeyDeletionResponse(key_id=key.arn)
    _replace(world, call, key, replace(key, deletion_at=None, enabled=False), answer)
    return answer


def _set_enabled(request: KeyRequest, call: Call, world: World, *, enabled: bool) -> Nothing:
    key = resolve(world, call, request.key_id)
    key.require_changeable()
    if key.enabled is not enabled:
        _replace(world, call, key, replace(key, enabled=enabled))
    return NOTHING


def _replace(world: World, call: Call, before: KmsKey, after: KmsKey, response: Response = NOTHING) -> None:
    with world.registry.writing() as unit:
        unit.replace_key(before, after)
        call.recording.commit(unit, response)
