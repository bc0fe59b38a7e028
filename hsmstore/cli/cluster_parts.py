"""`hsmstore cluster hsm|network|subnet`: the parts of a cluster, and what can happen to them."""

from typing import Annotated, Final

import typer

from hsmstore.cli import screen
from hsmstore.cli.client import Simulator
from hsmstore.cli.cluster_card import show_cluster
from hsmstore.cli.ids import ClusterId, HsmId, SubnetId
from hsmstore.cli.options import AsJson
from hsmstore.cli.views import ClusterView

hsm: Final = typer.Typer(help="Add, lose and bring back a cluster's HSMs.")
network: Final = typer.Typer(help="Cut and restore the network between KMS and a cluster.")
subnet: Final = typer.Typer(help="Use up, delete and bring back a cluster's subnets.")


@hsm.command("add")
def add_hsm(context: typer.Context, cluster_id: ClusterId, *, as_json: AsJson = False) -> None:
    """Add an HSM to a cluster, with the users of the others."""
    simulator: Simulator = context.obj.simulator
    show_cluster(simulator, simulator.cluster(cluster_id).add_hsm(), as_json=as_json)


@hsm.command("remove")
def remove_hsm(
    context: typer.Context, cluster_id: ClusterId, hsm_id: HsmId, *, as_json: AsJson = False
) -> None:
    """Delete an HSM; the cluster keeps its keys and users."""
    simulator: Simulator = context.obj.simulator
    show_cluster(simulator, simulator.cluster(cluster_id).remove_hsm(hsm_id), as_json=as_json)


@hsm.command("stop")
def stop_hsm(
    context: typer.Context, cluster_id: ClusterId, hsm_id: HsmId, *, as_json: AsJson = False
) -> None:
    """Let an HSM answer no more."""
    simulator: Simulator = context.obj.simulator
    show_cluster(simulator, simulator.cluster(cluster_id).stop_hsm(hsm_id), as_json=as_json)


@hsm.command("start")
def start_hsm(
    context: typer.Context, cluster_id: ClusterId, hsm_id: HsmId, *, as_json: AsJson = False
) -> None:
    """Let a stopped HSM answer again."""
    simulator: Simulator = context.obj.simulator
    show_cluster(simulator, simulator.cluster(cluster_id).start_hsm(hsm_id), as_json=as_json)


@network.command("cut")
def cut(context: typer.Context, cluster_id: ClusterId, *, as_json: AsJson = False) -> None:
    """Cut the network between KMS and a cluster."""
    simulator: Simulator = context.obj.simulator
    show_cluster(simulator, simulator.cluster(cluster_id).cut_network(), as_json=as_json)


@network.command("restore")
def restore(context: typer.Context, cluster_id: ClusterId, *, as_json: AsJson = False) -> None:
    """Restore the network between KMS and a cluster."""
    simulator: Simulator = context.obj.simulator
    show_cluster(simulator, simulator.cluster(cluster_id).restore_network(), as_json=as_json)


@subnet.command("list")
def list_subnets(context: typer.Context, cluster_id: ClusterId, *, as_json: AsJson = False) -> None:
    """List the subnets that a cluster was configured with."""
    simulator: Simulator = context.obj.simulator
    answer = simulator.cluster(cluster_id).describe()
    if as_json:
        screen.document({"Subnets": answer.get("Subnets")})
        return
    screen.table(
        ["SUBNET", "ZONE", "FREE ADDRESSES", "EXISTS"],
        [
            [s.subnet_id, s.availability_zone, str(s.free_addresses), "yes" if s.exists else "no"]
            for s in simulator.read(answer, ClusterView).subnets
        ],
    )


@subnet.command("set")
def set_subnet(
    context: typer.Context,
    cluster_id: ClusterId,
    subnet_id: SubnetId,
    *,
    free_addresses: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, help="How many addresses are free.")
    ],
    as_json: AsJson = False,
) -> None:
    """Use up or free the addresses of a subnet."""
    simulator: Simulator = context.obj.simulator
    answer = simulator.cluster(cluster_id).set_subnet(subnet_id, free_addresses=free_addresses)
    show_cluster(simulator, answer, as_json=as_json)


@subnet.command("delete")
def delete_subnet(
    context: typer.Context, cluster_id: ClusterId, subnet_id: SubnetId, *, as_json: AsJson = False
) -> None:
    """Delete a subnet."""
    simulator: Simulator = context.obj.simulator
    answer = simulator.cluster(cluster_id).set_subnet(subnet_id, exists=False)
    show_cluster(simulator, answer, as_json=as_json)


@subnet.command("restore")
def restore_subnet(
    context: typer.Context, cluster_id: ClusterId, subnet_id: SubnetId, *, as_json: AsJson = False
) -> None:
    """Bring a deleted subnet back."""
    simulator: Simulator = context.obj.simulator
    answer = simulator.cluster(cluster_id).set_subnet(subnet_id, exists=True)
    show_cluster(simulator, answer, as_json=as_json)
