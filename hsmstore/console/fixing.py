"""The documented way out of a failed connect, step by step: what to press, and what of it is done.

The steps are those of `domain.causes`, as acts of the console.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from hsmstore.domain.cluster import HsmState
from hsmstore.domain.connection import ALLOWED, Action, ConnectionState
from hsmstore.domain.keystore import ConnectionErrorCode as Code
from hsmstore.domain.limits import FAILED_LOGINS_MAX
from hsmstore.service.clusters import ClusterDescription
from hsmstore.service.explain import Explanation


class Step(NamedTuple):
    """One step: the act behind its button and what it is given; with `asks`, a password is to be typed.

    `done` is None where nobody can tell. A step that is not `ready` has to wait for one before it.
    """

    title: str
    act: str
    members: Mapping[str, str]
    done: bool | None = None
    asks: str | None = None
    ready: bool = True


class Fix(NamedTuple):
    """The way out after `code`; `current` is the index of the step that is to be taken."""

    code: Code
    steps: list[Step]
    current: int | None


class Facts(NamedTuple):
    """What a mend is about. `updated` tells whether KMS has been given something since the failure."""

    store_id: str
    state: ConnectionState
    updated: bool
    cluster: ClusterDescription

    @property
    def of_cluster(self) -> dict[str, str]:
        """The member that names the cluster."""
        return {"ClusterId": self.cluster.cloud_hsm_cluster_id}

    def update(self, title: str) -> Step:
        """Return the step in which KMS is told the password."""
        return Step(
            title,
            "UpdateCustomKeyStore",
            {"CustomKeyStoreId": self.store_id},
            self.updated,
            asks="KeyStorePassword",
            ready=self.state in ALLOWED[Action.UPDATE_CLUSTER],
        )


def fix_of(explanation: Explanation, cluster: ClusterDescription | None) -> Fix | None:
    """Return the way out for a store whose last connect failed, until it is connected again."""
    failed = _last_failure(explanation)
    if failed is None:
        return None
    code, since = explanation.history[failed].connection_error_code, explanation.history[failed + 1 :]
    store_id, state = explanation.custom_key_store_id, explanation.connection_state
    if code is None:
        return None
    store = {"CustomKeyStoreId": store_id}
    updated = any(event.event == "updated" for event in since)
    mend = _MENDS.get(code)
    mending = mend(Facts(store_id, state, updated, cluster)) if mend and cluster else []
    away = ConnectionState.DISCONNECTED
    steps = [
        Step(
            "Disconnect the key store.",
            "DisconnectCustomKeyStore",
            store,
            state is not ConnectionState.FAILED,
        ),
        *mending,
        Step("Connect it again.", "ConnectCustomKeyStore", store, done=False, ready=state is away),
    ]
    current = next((number for number, step in enumerate(steps) if not step.done and step.ready), None)
    return Fix(code, steps, current)


def _last_failure(explanation: Explanation) -> int | None:
    """Return where in the history the last connect failed, unless there has been another since."""
    for number in range(len(explanation.history) - 1, -1, -1):
        event = explanation.history[number].event
        if event in {"connect_failed", "connect"}:
            return number if event == "connect_failed" else None
    return None


def _credentials(facts: Facts) -> list[Step]:
    title = "Set kmsuser's password in the cluster, unless you know it."
    if facts.cluster.kmsuser_failed_logins >= FAILED_LOGINS_MAX:
        title = "Set kmsuser's password in the cluster, which lifts the lock-out."
    is_set = None if facts.cluster.kmsuser_failed_logins else facts.updated or None
    return [
        Step(title, "set_kmsuser_password", facts.of_cluster, is_set, asks="Password"),
        facts.update("Tell KMS that password."),
    ]


def _missing_user(facts: Facts) -> list[Step]:
    exists = facts.cluster.kmsuser_exists
    return [
        Step("Make kmsuser on every HSM.", "create_kmsuser", facts.of_cluster, exists, asks="Password"),
        facts.update("Tell KMS that password."),
    ]


def _logged_in(facts: Facts) -> list[Step]:
    done = not facts.cluster.kmsuser_logged_in_elsewhere
    return [Step("Log kmsuser out of its other session.", "log_out_kmsuser", facts.of_cluster, done)]


def _network(facts: Facts) -> list[Step]:
    members = {**facts.of_cluster, "Reachable": "true"}
    return [Step("Restore the network.", "set_network", members, facts.cluster.network_reachable)]


def _hsms(facts: Facts) -> list[Step]:
    """Start an HSM that was stopped, or add one where there is none."""
    hsms = facts.cluster.hsms
    done = any(hsm.state is HsmState.ACTIVE for hsm in hsms)
    if not hsms:
        return [Step("Add an HSM.", "add_hsm", facts.of_cluster, done)]
    members = {**facts.of_cluster, "HsmId": hsms[0].hsm_id}
    return [Step(f"Start {hsms[0].hsm_id}.", "start_hsm", members, done)]


def _addresses(facts: Facts) -> list[Step]:
    full = [subnet for subnet in facts.cluster.subnets if not subnet.free_addresses]
    subnet = (full or facts.cluster.subnets)[0]
    members = {**facts.of_cluster, "SubnetId": subnet.subnet_id, "FreeAddresses": "100"}
    return [Step(f"Free addresses in {subnet.subnet_id}.", "set_subnet", members, not full)]


def _subnets(facts: Facts) -> list[Step]:
    """Bring the subnet back. In life it cannot be; `store explain` has the documentation's longer way."""
    gone = [subnet for subnet in facts.cluster.subnets if not subnet.exists]
    subnet = (gone or facts.cluster.subnets)[0]
    members = {**facts.of_cluster, "SubnetId": subnet.subnet_id, "Exists": "true"}
    return [Step(f"Bring {subnet.subnet_id} back.", "set_subnet", members, not gone)]


def _within(_: Facts) -> list[Step]:
    return [Step("Clear the fault plan, if a fault says so.", "clear_faults", {})]


_MENDS: Final[Mapping[Code, Callable[[Facts], list[Step]]]] = MappingProxyType(
    {
        Code.INVALID_CREDENTIALS: _credentials,
        Code.USER_LOCKED_OUT: _credentials,
        Code.USER_LOGGED_IN: _logged_in,
        Code.USER_NOT_FOUND: _missing_user,
        Code.INSUFFICIENT_CLOUDHSM_HSMS: _hsms,
        Code.NETWORK_ERRORS: _network,
        Code.SUBNET_NOT_FOUND: _subnets,
        Code.INSUFFICIENT_FREE_ADDRESSES_IN_SUBNET: _addresses,
        Code.INTERNAL_ERROR: _within,
    }
)
