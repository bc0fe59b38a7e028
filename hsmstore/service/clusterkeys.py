"""The keys on a token, as their owner kmsuser sees and deletes them, with or without KMS's knowledge."""

import re
from typing import Final
from uuid import UUID

from hsmstore.domain.errors import (
    AwsError,
    CloudHsmInternalFailureException,
    CloudHsmInvalidRequestException,
    CloudHsmResourceNotFoundException,
)
from hsmstore.domain.ports import ConnectionClosed, HsmConnection, HsmUnavailable
from hsmstore.service.clusters import ClusterRequest, find_cluster
from hsmstore.service.lifecycle import live_connection
from hsmstore.service.shapes import EMPTY, Empty, Request, Response
from hsmstore.service.world import Call, World

_MATERIAL_ID: Final = re.compile("[0-9a-f]{32}")


class ClusterKeyRequest(Request, frozen=True):
    """Which key on which cluster's token; `key_id` is the KMS key's."""

    cluster_id: str
    key_id: str


class ClusterKey(Response, frozen=True):
    """A key on the token: its CKA_LABEL, and the KMS key's id if its CKA_ID is one."""

    label: str
    key_id: str | None = None


class ListClusterKeysResponse(Response, frozen=True):
    """The keys on the token, in order of their labels."""

    keys: list[ClusterKey]


def list_cluster_keys(request: ClusterRequest, _: Call, world: World) -> ListClusterKeysResponse:
    """List the keys on a cluster's token, whoever made them.

    Raises:
        CloudHsmResourceNotFoundException: no such cluster.
        CloudHsmInvalidRequestException: its key store is not connected.
        CloudHsmInternalFailureException: the token does not answer.

    """
    connection = _connection(world, request.cluster_id)
    try:
        found = connection.keys()
    except (ConnectionClosed, HsmUnavailable) as error:
        raise _no_answer(request.cluster_id, error) from error
    return ListClusterKeysResponse(
        keys=[ClusterKey(label=key.label, key_id=_key_id(key.key_id)) for key in sorted(found)]
    )


def delete_cluster_key(request: ClusterKeyRequest, _: Call, world: World) -> Empty:
    """Delete key material from a cluster's token, as its owner may; KMS does not learn of it.

    Raises:
        CloudHsmResourceNotFoundException: no such cluster, or no such key on its token.
        CloudHsmInvalidRequestException: its key store is not connected, or the id could be none.
        CloudHsmInternalFailureException: the token does not answer.

    """
    connection = _connection(world, request.cluster_id)
    material_id = _material_id(request.key_id)
    try:
        if not connection.has_key(material_id):
            raise CloudHsmResourceNotFoundException(
                f"Cluster {request.cluster_id} has no material of key {request.key_id}."
            )
        connection.destroy_key(material_id)
    except (ConnectionClosed, HsmUnavailable) as error:
        raise _no_answer(request.cluster_id, error) from error
    with world.registry.writing() as unit:
        unit.remove_remains(request.key_id)
    return EMPTY


def _connection(world: World, cluster_id: str) -> HsmConnection:
    """Return KMS's own session, there being no other way to be kmsuser while it lasts."""
    cluster = find_cluster(world, cluster_id)
    with world.registry.reading() as unit:
        store = unit.key_store_of_cluster(cluster.id)
    if store is None:
        raise CloudHsmInvalidRequestException(f"Cluster {cluster.id} has no key store.")
    try:
        return live_connection(world, store.scope, store.id)
    except AwsError as error:
        raise CloudHsmInvalidRequestException(f"The key store must be connected: {error}") from error


def _no_answer(cluster_id: str, error: Exception) -> CloudHsmInternalFailureException:
    return CloudHsmInternalFailureException(
        f"The token of {cluster_id} does not answer.", internal=str(error)
    )


def _material_id(key_id: str) -> bytes:
    digits = key_id.replace("-", "")
    if _MATERIAL_ID.fullmatch(digits) is None:
        raise CloudHsmInvalidRequestException(f"{key_id} is no key's id.")
    return bytes.fromhex(digits)


def _key_id(material_id: bytes) -> str | None:
    return str(UUID(bytes=material_id)) if len(material_id) == 16 else None  # noqa: PLR2004  # a UUID's bytes
