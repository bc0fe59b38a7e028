"""Every operation in every state, for both types of key store, through boto3.

The states are set in the registry while the server is down: an external key store cannot be CONNECTED here
otherwise, and the slow states would pass. The server is then started with AWS's durations, so that nothing
moves by itself.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.keystore import ConnectionErrorCode
from hsmstore.storage.registry import SqlRegistry
from tests.server import PASSWORD, Server, running

STATES = ("DISCONNECTED", "CONNECTING", "CONNECTED", "DISCONNECTING", "FAILED")
SLOW = {"CONNECTING", "DISCONNECTING"}
KINDS = ("cloudhsm", "external")

INVALID = "CustomKeyStoreInvalidStateException"
UNSUPPORTED = "UnsupportedOperationException"
OK = "ok"

Operation = Callable[[Any, str, str], Any]
Cell = tuple[str, str, str, str]  # kind, operation, state, outcome

OPERATIONS: dict[str, Operation] = {
    "describe": lambda kms, store, _: kms.describe_custom_key_stores(CustomKeyStoreId=store),
    "connect": lambda kms, store, _: kms.connect_custom_key_store(CustomKeyStoreId=store),
    "disconnect": lambda kms, store, _: kms.disconnect_custom_key_store(CustomKeyStoreId=store),
    "rename": lambda kms, store, _: kms.update_custom_key_store(
        CustomKeyStoreId=store, NewCustomKeyStoreName=f"{store} renamed"
    ),
    "update password": lambda kms, store, _: kms.update_custom_key_store(
        CustomKeyStoreId=store, KeyStorePassword=PASSWORD
    ),
    "name the same cluster": lambda kms, store, cluster: kms.update_custom_key_store(
        CustomKeyStoreId=store, CloudHsmClusterId=cluster
    ),
    "update credential": lambda kms, store, _: kms.update_custom_key_store(
        CustomKeyStoreId=store,
        XksProxyAuthenticationCredential={
            "AccessKeyId": "TSRQPONMLKJIHGFEDCBA",
            "RawSecretAccessKey": "B" * 43,
        },
    ),
    "update path": lambda kms, store, _: kms.update_custom_key_store(
        CustomKeyStoreId=store, XksProxyUriPath=f"/{store}/kms/xks/v1"
    ),
    "update endpoint": lambda kms, store, _: kms.update_custom_key_store(
        CustomKeyStoreId=store, XksProxyUriEndpoint=f"https://{store}.example.com"
    ),
    "delete": lambda kms, store, _: kms.delete_custom_key_store(CustomKeyStoreId=store),
    "generate random": lambda kms, store, _: kms.generate_random(NumberOfBytes=16, CustomKeyStoreId=store),
}


def row(*outcomes: str) -> dict[str, str]:
    """Name the outcome in each state, in the order of STATES."""
    return dict(zip(STATES, outcomes, strict=True))


EXPECTED: dict[tuple[str, str], dict[str, str]] = {
    ("cloudhsm", "describe"): row(OK, OK, OK, OK, OK),
    ("cloudhsm", "connect"): row(OK, OK, OK, INVALID, INVALID),
    ("cloudhsm", "disconnect"): row(INVALID, OK, OK, INVALID, OK),
    ("cloudhsm", "rename"): row(OK, INVALID, OK, INVALID, INVALID),
    ("cloudhsm", "update password"): row(OK, INVALID, INVALID, INVALID, INVALID),
    ("cloudhsm", "name the same cluster"): row(OK, OK, OK, OK, OK),
    ("cloudhsm", "delete"): row(OK, INVALID, INVALID, INVALID, INVALID),
    ("cloudhsm", "generate random"): row(INVALID, INVALID, OK, INVALID, INVALID),
    ("external", "describe"): row(OK, OK, OK, OK, OK),
    ("external", "connect"): row(OK, OK, OK, INVALID, INVALID),
    ("external", "disconnect"): row(INVALID, OK, OK, INVALID, OK),
    ("external", "rename"): row(OK, INVALID, OK, INVALID, INVALID),
    ("external", "update credential"): row(OK, INVALID, OK, INVALID, INVALID),
    ("external", "update path"): row(OK, INVALID, OK, INVALID, INVALID),
    ("external", "update endpoint"): row(OK, INVALID, INVALID, INVALID, INVALID),
    ("external", "delete"): row(OK, INVALID, INVALID, INVALID, INVALID),
    ("external", "generate random"): row(*[UNSUPPORTED] * 5),
}

# The documentation is silent, or two of its pages contradict each other.
INFERRED = {("cloudhsm", "name the same cluster"), ("external", "generate random")}

CELLS = [
    (kind, operation, state, outcome)
    for (kind, operation), outcomes in EXPECTED.items()
    for state, outcome in outcomes.items()
]

AFTERWARDS = {("connect", "DISCONNECTED"): "CONNECTING"} | {
    ("disconnect", state): "DISCONNECTING" for state in ("CONNECTING", "CONNECTED", "FAILED")
}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str]]]:
    """Serve one store for each cell, already in the cell's state; give the ids by cell."""
    data_dir = tmp_path_factory.mktemp("legality") / "data"
    with running(data_dir, "--profile", "aws", "--key-store-quota", "1000") as server:
        ids = {name(*cell): _new(server, *cell) for cell in CELLS}
        server.stop()
        _set_states(server, ids)
        server.start()
        yield server, ids


def name(kind: str, operation: str, state: str, _: str = "") -> str:
    """Name a cell."""
    return f"{kind}-{operation}-{state}".replace(" ", "_")


def _new(server: Server, kind: str, operation: str, state: str, _: str) -> str:
    title = name(kind, operation, state)
    return server.new_store(title) if kind == "cloudhsm" else server.new_external_store(title)


def _set_states(server: Server, ids: dict[str, str]) -> None:
    registry = SqlRegistry(server.registry_url)
    scope = Scope("000000000000", "us-east-1")
    with registry.writing() as unit:
        for cell, key_store_id in ids.items():
            store = unit.key_store(scope, key_store_id)
            assert store is not None
            state = ConnectionState(cell.rpartition("-")[2])
            due_at = store.created_at + 1000 if state in SLOW else None
            code = ConnectionErrorCode.INTERNAL_ERROR if state == "FAILED" else None
            after = replace(store, state=state, due_at=due_at, error_code=code)
            unit.replace_key_store(store, after)
    registry.close()


DOCUMENTED_CELLS = [cell for cell in CELLS if cell[:2] not in INFERRED]
INFERRED_CELLS = [cell for cell in CELLS if cell[:2] in INFERRED]


@pytest.mark.aws_documented
@pytest.mark.parametrize("cell", DOCUMENTED_CELLS, ids=[name(*cell) for cell in DOCUMENTED_CELLS])
def test_operation_in_state(stores: tuple[Server, dict[str, str]], cell: Cell) -> None:
    """Each operation is allowed or refused in each state as the documentation says."""
    check(*stores, cell)


@pytest.mark.inferred(
    reason="UpdateCustomKeyStore with the cluster that the store has already is no change; an external"
    " key store is refused by GenerateRandom before its state is looked at."
)
@pytest.mark.parametrize("cell", INFERRED_CELLS, ids=[name(*cell) for cell in INFERRED_CELLS])
def test_operation_in_state_where_the_documentation_is_silent(
    stores: tuple[Server, dict[str, str]], cell: Cell
) -> None:
    """Naming the same cluster changes nothing; an external key store gives no random bytes in any state."""
    check(*stores, cell)


def check(server: Server, ids: dict[str, str], cell: Cell) -> None:
    """Try the cell's operation on the cell's store."""
    kind, operation, state, outcome = cell
    kms = server.kms()
    key_store_id = ids[name(kind, operation, state)]
    before = _described(kms, key_store_id)
    assert before["ConnectionState"] == state
    cluster = before.get("CloudHsmClusterId", "")
    if outcome == OK:
        OPERATIONS[operation](kms, key_store_id, cluster)
    else:
        with pytest.raises(ClientError) as refusal:
            OPERATIONS[operation](kms, key_store_id, cluster)
        assert refusal.value.response["Error"]["Code"] == outcome
        assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert _described(kms, key_store_id) == before
    if not (operation == "delete" and outcome == OK):
        expected = AFTERWARDS.get((operation, state), state)
        assert _described(kms, key_store_id)["ConnectionState"] == expected


@pytest.mark.aws_documented
def test_only_a_failed_store_has_an_error_code(stores: tuple[Server, dict[str, str]]) -> None:
    """ConnectionErrorCode is there in FAILED and in no other state."""
    server, _ = stores
    entries = server.kms().describe_custom_key_stores()["CustomKeyStores"]
    assert {entry["ConnectionState"] for entry in entries} == set(STATES)
    for entry in entries:
        assert ("ConnectionErrorCode" in entry) == (entry["ConnectionState"] == "FAILED")


def _described(kms: Any, key_store_id: str) -> Any:
    return kms.describe_custom_key_stores(CustomKeyStoreId=key_store_id)["CustomKeyStores"][0]
