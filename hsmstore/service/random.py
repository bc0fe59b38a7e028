"""GenerateRandom."""

import logging
from typing import Annotated

import msgspec

from hsmstore.domain.errors import Conflict, ValidationException
from hsmstore.domain.faults import Phase
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.limits import RANDOM_BYTES_MAX
from hsmstore.domain.ports import ConnectionClosed, HsmTimedOut, HsmUnavailable
from hsmstore.service.faults import strike
from hsmstore.service.lifecycle import cannot_communicate, did_not_answer, live_connection
from hsmstore.service.recipient import RecipientInfo, answer_for
from hsmstore.service.shapes import KeyStoreId, Request, Response
from hsmstore.service.world import Call, World, starting_again

log = logging.getLogger(__name__)


class GenerateRandomRequest(Request, frozen=True):
    """`GenerateRandomRequest`."""

    number_of_bytes: Annotated[int, msgspec.Meta(ge=1, le=RANDOM_BYTES_MAX)] | None = None
    custom_key_store_id: KeyStoreId | None = None
    recipient: RecipientInfo | None = None


class GenerateRandomResponse(Response, frozen=True):
    """`GenerateRandomResponse`; blobs travel as base64."""

    plaintext: bytes | None = None
    ciphertext_for_recipient: bytes | None = None


def generate_random(request: GenerateRandomRequest, call: Call, world: World) -> GenerateRandomResponse:
    """Return random bytes: from the key store's HSM, or from the system where no store is named.

    Raises:
        ValidationException: no NumberOfBytes (the text is recorded from AWS), or a Recipient that is refused.
        UnsupportedOperationException: an external key store.
        ThrottlingException: too many Recipients at once.
        CustomKeyStoreNotFoundException, CustomKeyStoreInvalidStateException: as documented.
        KMSInternalException, DependencyTimeoutException: the HSM failed or did not answer; the store stays
            CONNECTED, as documented.

    """
    length = request.number_of_bytes
    if length is None:
        raise ValidationException("NumberOfBytes is required.")
    if request.recipient is not None:
        return answer_for(request.recipient, generate_random, request, call, world)
    key_store_id = request.custom_key_store_id
    if key_store_id is None:
        return GenerateRandomResponse(plaintext=world.entropy.random_bytes(length))
    if world.faults.active:
        strike(world, call.scope, Phase.DRAW, request)
    connection = world.gate.find((call.scope, key_store_id))
    if connection is not None:
        try:
            return GenerateRandomResponse(plaintext=connection.draw(length))
        except ConnectionClosed:
            pass  # it was shut between the look and the draw, or its lease has lapsed
        except HsmTimedOut as error:
            raise did_not_answer(key_store_id, error.reason) from error
        except HsmUnavailable as error:
            log.warning("key store %s: %s; logging in again", key_store_id, error.reason)
            world.gate.drop(call.scope, key_store_id, connection)
    return GenerateRandomResponse(plaintext=_draw_from_a_new_connection(key_store_id, length, call, world))


def generate_random_promptly(
    request: GenerateRandomRequest, scope: Scope, world: World
) -> GenerateRandomResponse | None:
    """Do what `generate_random` does if nothing stands in the way: the hot path.

    It looks up one dictionary and draws. Where there is anything to wait for or to refuse, it returns None.
    """
    length, key_store_id = request.number_of_bytes, request.custom_key_store_id
    if length is None or request.recipient is not None:
        return None
    if key_store_id is None:
        return GenerateRandomResponse(plaintext=world.entropy.random_bytes(length))
    connection = world.gate.find((scope, key_store_id))
    if connection is None:
        return None
    try:
        octets = connection.draw_promptly(length)
    except (ConnectionClosed, HsmUnavailable):
        return None  # `generate_random` meets it again, and knows what to do
    return None if octets is None else GenerateRandomResponse(plaintext=octets)


@starting_again
def _draw_from_a_new_connection(key_store_id: str, length: int, call: Call, world: World) -> bytes:
    connection = live_connection(world, call.scope, key_store_id)
    try:
        return connection.draw(length)
    except ConnectionClosed as error:
        raise Conflict from error
    except HsmTimedOut as error:
        raise did_not_answer(key_store_id, error.reason) from error
    except HsmUnavailable as error:
        raise cannot_communicate(key_store_id, error.reason) from error
