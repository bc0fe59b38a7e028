"""KMS calls that come from within, from the console: the operation table without HTTP.

Whoever may open the console may do anything, as the account's root user. Such a call is recorded as any other
and meets the faults that any other meets.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from hsmstore.domain.errors import AwsError, KMSInternalException
from hsmstore.domain.identifiers import new_uuid
from hsmstore.domain.principal import Caller, Principal, PrincipalType
from hsmstore.domain.trail import UNRECORDED, Recording, Seen
from hsmstore.service.faults import ConnectionDropped, strike
from hsmstore.service.shapes import Response
from hsmstore.service.world import Call, World
from hsmstore.wire import validation
from hsmstore.wire.operations import OPERATIONS, TARGET_PREFIX, Operation


class Inside:
    """Serves operations of KMS that name no key, for the server's own account and Region."""

    def __init__(self, world: World) -> None:
        """Take the world."""
        self._world = world
        root = Principal(name="root", type=PrincipalType.ROOT, account=world.home.account)
        self._caller = Caller(principal=root)

    def __call__(self, name: str, members: Mapping[str, Any], source: str, agent: bytes) -> Response:
        """Return the operation's response to `members`, named as on the wire.

        Raises:
            AwsError: it is refused.
            EnvironmentUnfit: the machine cannot do it.

        """
        operation, world = OPERATIONS[TARGET_PREFIX + name], self._world
        body = msgspec.json.encode(members)
        request_id = new_uuid(world.entropy.public_bits(128))
        try:
            typed = operation.decode(body)
        except msgspec.MsgspecError:
            typed = validation.decode(body, operation.request)
        seen = Seen(
            world.clock.now(), name, operation.read_only, world.home, request_id, typed, source, agent
        )
        seen = seen._replace(caller=self._caller)
        recording: Recording = UNRECORDED if world.trail is None else world.trail.begin(seen)
        call = Call(world.home, request_id, caller=self._caller, recording=recording)
        try:
            response = self._serve(operation, typed, call)
        except AwsError as error:
            recording.end(error=error)
            raise
        recording.end(response)
        return response

    def _serve(self, operation: Operation, typed: Any, call: Call) -> Response:
        try:
            if self._world.faults.active:
                strike(self._world, call.scope, operation.name, typed)
            return operation.serve(typed, call, self._world)
        except ConnectionDropped as error:
            raise KMSInternalException("The connection was dropped by a fault.") from error
