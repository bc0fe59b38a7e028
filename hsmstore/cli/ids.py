"""The ids that commands take, and what the shell offers for them: those that the simulator has."""

from collections.abc import Callable, Iterable
from typing import Annotated, Final

import typer

from hsmstore.cli.client import Refused, Simulator, Unreachable
from hsmstore.cli.invocation import invocation
from hsmstore.cli.views import BackupView, ClusterView, FaultView, StoreView
from hsmstore.settings import BadSetting

PATIENCE: Final = 2.0
"""Seconds that somebody who has pressed Tab waits for a simulator that says nothing."""

Offers = Iterable[tuple[str, str]]
"""Ids, each with what a shell that has room for it says about it."""


def offering(found: Callable[[Simulator, str], Offers]) -> Callable[[typer.Context], Offers]:
    """Return what completes an id: what is found in the simulator of the line so far, and its cluster.

    Whatever is wrong with either, nothing is offered: there is no place to say it.
    """

    def complete(context: typer.Context) -> Offers:
        typed = {f"--{name.replace('_', '-')}": value for name, value in context.find_root().params.items()}
        try:
            simulator = invocation(typed, PATIENCE).simulator
            return list(found(simulator, context.params.get("cluster_id") or ""))
        except (BadSetting, Refused, Unreachable):
            return []

    return complete


def _stores(simulator: Simulator, _cluster: str) -> Offers:
    # not DescribeCustomKeyStores: nobody's call, it is in no trail and meets no fault
    answer = simulator.manage("GET", "key-stores", **simulator.scope)
    for store in simulator.read(answer.get("KeyStores"), list[StoreView]):
        yield store.custom_key_store_id, f"{store.custom_key_store_name}, {store.connection_state}"


def _clusters(simulator: Simulator, _cluster: str) -> Offers:
    for cluster in simulator.read(simulator.clusters(), list[ClusterView]):
        yield cluster.cloud_hsm_cluster_id, cluster.state


def _hsms(simulator: Simulator, cluster: str) -> Offers:
    for hsm in simulator.read(simulator.cluster(cluster).describe(), ClusterView).hsms:
        yield hsm.hsm_id, hsm.state


def _subnets(simulator: Simulator, cluster: str) -> Offers:
    for subnet in simulator.read(simulator.cluster(cluster).describe(), ClusterView).subnets:
        yield subnet.subnet_id, subnet.availability_zone


def _keys(simulator: Simulator, cluster: str) -> Offers:
    keys = simulator.cluster(cluster).keys()
    for key in keys:
        yield str(key.get("KeyId", "")), str(key.get("Label", ""))


def _backups(simulator: Simulator, _cluster: str) -> Offers:
    for backup in simulator.read(simulator.backups(), list[BackupView]):
        yield backup.backup_id, backup.cluster_id


def _faults(simulator: Simulator, _cluster: str) -> Offers:
    for fault in simulator.read(simulator.faults.list(), list[FaultView]):
        yield fault.fault_id, f"{fault.point} {fault.effect}"


STORES: Final = offering(_stores)
CLUSTERS: Final = offering(_clusters)
HSMS: Final = offering(_hsms)

StoreId = Annotated[
    str, typer.Argument(metavar="STORE", help="The key store's id: cks-…", autocompletion=STORES)
]
ClusterId = Annotated[
    str, typer.Argument(metavar="CLUSTER", help="The cluster's id: cluster-…", autocompletion=CLUSTERS)
]
HsmId = Annotated[str, typer.Argument(metavar="HSM", help="The HSM's id: hsm-…", autocompletion=HSMS)]
SubnetId = Annotated[
    str, typer.Argument(metavar="SUBNET", help="The subnet's id: subnet-…", autocompletion=offering(_subnets))
]
KeyId = Annotated[
    str, typer.Argument(metavar="KEY", help="Id of the KMS key.", autocompletion=offering(_keys))
]
BackupId = Annotated[
    str, typer.Argument(metavar="BACKUP", help="The backup's id: backup-…", autocompletion=offering(_backups))
]
FaultId = Annotated[
    str, typer.Argument(metavar="FAULT", help="The fault's id: fault-…", autocompletion=offering(_faults))
]
