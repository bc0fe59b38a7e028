"""The documented way out of a failed connect, step by step: what to press, and what of it is done.

The steps are those of `domain.causes`, as acts of the console.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from hsmstore.domain.cluster import HsmState
from hsmstore.domain.connection import ALLOWED, Action, ConnectionState
from hsmstore.domain.faults import Effect
from hsmstore.domain.keystore import ConnectionErrorCode as Code
from hsmstore.domain.limits import FAILED_LOGINS_MAX
from hsmstore.service.backups import BackupDescription
from hsmstore.service.clusters import ClusterDescription
from hsmstore.service.explain import Explanation
from hsmstore.service.faults import FaultDescription


class Step(NamedTuple):
    """One step: the act behind its button and what it is given; `asks` names a password that is to be typed.

    `done` is None for a step that may not be needed, of which nobody can tell: it is offered, and no other
    waits for it. A step that is not `ready` waits for one before it. An `optional` password may be left out.
    """

    title: str
    act: str
    members: Mapping[str, str]
    done: bool | None = None
    asks: str | None = None
    optional: bool = False
    ready: bool = True


class Fix(NamedTuple):
    """The way out after `code`; `current` is the index of the step that is to be taken."""

    code: Code
    steps: list[Step]
    current: int | None


class Site(NamedTuple):
    """What stands behind a key store, and what could; all are listed oldest first.

    `backups` are of its cluster, which may be gone; `relatives` are the clusters with its certificate that no
    key store stands on.
    """

    cluster: ClusterDescription | None = None
    backups: Sequence[BackupDescription] = ()
    relatives: Sequence[ClusterDescription] = ()
    faults: Sequence[FaultDescription] = ()


class Facts(NamedTuple):
    """What a mend is about. `updated` tells whether KMS has been given something since the failure."""

    code: Code
    store_id: str
    state: ConnectionState
    failed_at: float
    updated: bool
    site: Site

    def update(self, title: str) -> Step:
        """Return the step in which KMS is told the password."""
        return Step(
            title,
            "UpdateCustomKeyStore",
            {"CustomKeyStoreId": self.store_id},
            self.updated,
            asks="KeyStorePassword",
            ready=self.may_update,
        )

    @property
    def may_update(self) -> bool:
        """Whether KMS lets the key store have another password or cluster now."""
        return self.state in ALLOWED[Action.UPDATE_CLUSTER]


def fix_of(explanation: Explanation, site: Site) -> Fix | None:
    """Return the way out for a store whose last connect failed, until it is connected again."""
    failed = _last_failure(explanation)
    if failed is None:
        return None
    failure, since = explanation.history[failed], explanation.history[failed + 1 :]
    store_id, state = explanation.custom_key_store_id, explanation.connection_state
    if failure.connection_error_code is None:
        return None
    store = {"CustomKeyStoreId": store_id}
    updated = any(event.event == "updated" for event in since)
    mending = _mending(Facts(failure.connection_error_code, store_id, state, failure.at, updated, site))
    mended = not any(step.done is False for step in mending)
    away = state is ConnectionState.DISCONNECTED
    is_out = state is not ConnectionState.FAILED
    steps = [
        Step("Disconnect the key store.", "DisconnectCustomKeyStore", store, is_out),
        *mending,
        Step("Connect it again.", "ConnectCustomKeyStore", store, done=False, ready=away and mended),
    ]
    current = next((number for number, step in enumerate(steps) if step.done is False and step.ready), None)
    return Fix(failure.connection_error_code, steps, current)


def _last_failure(explanation: Explanation) -> int | None:
    """Return where in the history the last connect failed, unless there has been another since."""
    for number in range(len(explanation.history) - 1, -1, -1):
        event = explanation.history[number].event
        if event in {"connect_failed", "connect"}:
            return number if event == "connect_failed" else None
    return None


def _mending(facts: Facts) -> list[Step]:
    if facts.code in {Code.CLUSTER_NOT_FOUND, Code.SUBNET_NOT_FOUND}:
        return _another_cluster(facts)
    mend = _MENDS.get(facts.code)
    return mend(facts, facts.site.cluster) if mend and facts.site.cluster else []


def _another_cluster(facts: Facts) -> list[Step]:
    """Let another cluster take the place of one that is gone, or has lost a subnet.

    It is made from the newest backup. A cluster that is still there is backed up first, with all its keys:
    what is older than the failure does not count.
    """
    cluster, is_gone = facts.site.cluster, facts.code is Code.CLUSTER_NOT_FOUND
    since = facts.failed_at if cluster else 0
    backup = _last(each.backup_id for each in facts.site.backups if each.create_timestamp >= since)
    heir = _last(each.cloud_hsm_cluster_id for each in facts.site.relatives if each.create_timestamp >= since)
    moved = cluster is not None and all(subnet.exists for subnet in cluster.subnets)
    made = moved or heir is not None
    title = "Make a cluster from its backup."
    if is_gone and not (made or backup):
        title = "Make a cluster from its backup: there is none."
    steps = [Step(title, "restore_backup", {"BackupId": backup or ""}, made, ready=backup is not None)]
    if is_gone:
        steps.append(_password_of_backup(heir, moved=moved))
    elif cluster is not None:
        done = made or backup is not None
        steps.insert(0, Step("Save the cluster in a backup.", "create_backup", _of(cluster), done))
    return [*steps, _move(facts, heir, moved=moved)]


def _password_of_backup(heir: str | None, *, moved: bool) -> Step:
    title = "Set kmsuser's password in it, unless KMS knows that of the backup."
    members, ready = {"ClusterId": heir or ""}, heir is not None
    return Step(title, "set_kmsuser_password", members, moved or None, asks="Password", ready=ready)


def _move(facts: Facts, heir: str | None, *, moved: bool) -> Step:
    """Return the step in which the key store gets its new cluster, and KMS the password, if it is another."""
    return Step(
        "Move the key store to it.",
        "UpdateCustomKeyStore",
        {"CustomKeyStoreId": facts.store_id, "CloudHsmClusterId": heir or ""},
        moved,
        asks="KeyStorePassword" if facts.code is Code.CLUSTER_NOT_FOUND else None,
        optional=True,
        ready=heir is not None and facts.may_update,
    )


def _last(ids: Iterable[str]) -> str | None:
    return next(reversed([*ids]), None)


def _of(cluster: ClusterDescription) -> dict[str, str]:
    return {"ClusterId": cluster.cloud_hsm_cluster_id}


def _credentials(facts: Facts, cluster: ClusterDescription) -> list[Step]:
    """Set the password, then tell KMS. A cluster forgets the wrong passwords when another is set."""
    is_locked = cluster.kmsuser_failed_logins >= FAILED_LOGINS_MAX
    title = "Set kmsuser's password in the cluster, unless you know it."
    if is_locked:
        title = "Set kmsuser's password in the cluster, which lifts the lock-out."
    is_set = not cluster.kmsuser_failed_logins or (facts.updated and not is_locked)
    return [
        Step(title, "set_kmsuser_password", _of(cluster), is_set, asks="Password"),
        facts.update("Tell KMS that password."),
    ]


def _missing_user(facts: Facts, cluster: ClusterDescription) -> list[Step]:
    made = cluster.kmsuser_exists
    return [
        Step("Make kmsuser on every HSM.", "create_kmsuser", _of(cluster), made, asks="Password"),
        facts.update("Tell KMS that password."),
    ]


def _logged_in(_: Facts, cluster: ClusterDescription) -> list[Step]:
    done = not cluster.kmsuser_logged_in_elsewhere
    return [Step("Log kmsuser out of its other session.", "log_out_kmsuser", _of(cluster), done)]


def _network(_: Facts, cluster: ClusterDescription) -> list[Step]:
    members = {**_of(cluster), "Reachable": "true"}
    return [Step("Restore the network.", "set_network", members, cluster.network_reachable)]


def _hsms(_: Facts, cluster: ClusterDescription) -> list[Step]:
    """Start an HSM that was stopped, or add one where there is none."""
    hsms = cluster.hsms
    done = any(hsm.state is HsmState.ACTIVE for hsm in hsms)
    if not hsms:
        return [Step("Add an HSM.", "add_hsm", _of(cluster), done)]
    members = {**_of(cluster), "HsmId": hsms[0].hsm_id}
    return [Step(f"Start {hsms[0].hsm_id}.", "start_hsm", members, done)]


def _addresses(_: Facts, cluster: ClusterDescription) -> list[Step]:
    full = [subnet for subnet in cluster.subnets if not subnet.free_addresses]
    subnet = (full or cluster.subnets)[0]
    members = {**_of(cluster), "SubnetId": subnet.subnet_id, "FreeAddresses": "100"}
    return [Step(f"Free addresses in {subnet.subnet_id}.", "set_subnet", members, not full)]


def _within(facts: Facts, _: ClusterDescription) -> list[Step]:
    done = not any(fault.effect is Effect.CONNECTION_ERROR for fault in facts.site.faults)
    return [Step("Clear the fault plan, where a fault says so.", "clear_faults", {}, done)]


_MENDS: Final[Mapping[Code, Callable[[Facts, ClusterDescription], list[Step]]]] = MappingProxyType(
    {
        Code.INVALID_CREDENTIALS: _credentials,
        Code.USER_LOCKED_OUT: _credentials,
        Code.USER_LOGGED_IN: _logged_in,
        Code.USER_NOT_FOUND: _missing_user,
        Code.INSUFFICIENT_CLOUDHSM_HSMS: _hsms,
        Code.NETWORK_ERRORS: _network,
        Code.INSUFFICIENT_FREE_ADDRESSES_IN_SUBNET: _addresses,
        Code.INTERNAL_ERROR: _within,
    }
)
