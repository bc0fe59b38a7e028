"""`hsmstore cluster`: the clusters that stand behind key stores, over the management API."""

from pathlib import Path
from typing import Annotated, Final

import typer

from hsmstore.cli import screen
from hsmstore.cli.client import Answer, Simulator
from hsmstore.cli.options import AsJson, ClusterId, read_text, required_secret, takes_secret
from hsmstore.cli.views import ClusterView

app: Final = typer.Typer(help="Make and keep clusters, stand-ins for AWS CloudHSM.")
kmsuser: Final = typer.Typer(help="Keep kmsuser, as whom KMS logs in to a cluster.")
app.add_typer(kmsuser, name="kmsuser")

CLUSTERS: Final = "clusters"


@app.command("create")
@takes_secret("kmsuser_password", "Make kmsuser with this password, 7 to 32 characters")
def create(
    context: typer.Context,
    hsms: Annotated[int | None, typer.Option(help="How many HSMs.", show_default="2")] = None,
    *,
    kmsuser_password: str | None,
    pkcs11_profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Configuration in softhsm/ to reach the token with.")
    ] = None,
    pkcs11_module: Annotated[
        Path | None, typer.Option(metavar="PATH", help="PKCS#11 module to load.")
    ] = None,
    token_label: Annotated[
        str | None, typer.Option(metavar="LABEL", help="Adopt the token of this label instead of making one.")
    ] = None,
    crypto_officer_pin_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File with the adopted token's SO PIN.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a cluster, with its certificate and its token."""
    simulator: Simulator = context.obj.simulator
    pin = crypto_officer_pin_file and read_text("--crypto-officer-pin-file", crypto_officer_pin_file)
    answer = simulator.manage(
        "POST",
        CLUSTERS,
        HsmCount=hsms,
        KmsuserPassword=kmsuser_password,
        Pkcs11Profile=pkcs11_profile,
        Pkcs11Module=pkcs11_module and str(pkcs11_module.absolute()),
        TokenLabel=token_label,
        CryptoOfficerPin=pin and pin.rstrip("\r\n"),
        **simulator.scope,
    )
    _show(simulator, answer, as_json=as_json)
    if not as_json:
        cluster_id = simulator.read(answer, ClusterView).cloud_hsm_cluster_id
        screen.line(f"\nnext: hsmstore store create NAME --cluster {cluster_id}")


@app.command("list")
def list_clusters(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the clusters of the account and Region."""
    simulator: Simulator = context.obj.simulator
    answer = simulator.manage("GET", CLUSTERS, **simulator.scope)
    if as_json:
        screen.document(answer)
        return
    clusters = simulator.read(answer.get("Clusters"), list[ClusterView])
    screen.table(
        ["CLUSTER", "STATE", "HSMS", "KMSUSER", "REGION", "CREATED"],
        [
            [
                cluster.cloud_hsm_cluster_id,
                cluster.state,
                str(len(cluster.hsms)),
                "yes" if cluster.kmsuser_exists else "no",
                cluster.region,
                screen.moment(cluster.create_timestamp),
            ]
            for cluster in clusters
        ],
    )


@app.command("show")
def show(context: typer.Context, cluster_id: ClusterId, *, as_json: AsJson = False) -> None:
    """Show a cluster, its HSMs and its certificate."""
    simulator: Simulator = context.obj.simulator
    _show(simulator, simulator.manage("GET", CLUSTERS, cluster_id), as_json=as_json)


@app.command("delete")
def delete(context: typer.Context, cluster_id: ClusterId, *, as_json: AsJson = False) -> None:
    """Delete a cluster and its token."""
    answer = context.obj.simulator.manage("DELETE", CLUSTERS, cluster_id)
    if as_json:
        screen.document(answer)
    else:
        screen.line(f"{cluster_id} is deleted")


@kmsuser.command("create")
@takes_secret("password", "kmsuser's password, 7 to 32 characters")
def create_kmsuser(
    context: typer.Context, cluster_id: ClusterId, *, password: str | None, as_json: AsJson = False
) -> None:
    """Make kmsuser in a cluster that has none."""
    simulator: Simulator = context.obj.simulator
    secret = required_secret("password", password)
    answer = simulator.manage("POST", CLUSTERS, cluster_id, "kmsuser", Password=secret)
    _show(simulator, answer, as_json=as_json)


@kmsuser.command("set-password")
@takes_secret("password", "kmsuser's new password, 7 to 32 characters")
def set_password(
    context: typer.Context, cluster_id: ClusterId, *, password: str | None, as_json: AsJson = False
) -> None:
    """Set kmsuser's password in the cluster.

    KMS does not learn of it: tell it with `hsmstore store update`.
    """
    simulator: Simulator = context.obj.simulator
    secret = required_secret("password", password)
    answer = simulator.manage("PUT", CLUSTERS, cluster_id, "kmsuser", Password=secret)
    _show(simulator, answer, as_json=as_json)


@kmsuser.command("delete")
def delete_kmsuser(context: typer.Context, cluster_id: ClusterId, *, as_json: AsJson = False) -> None:
    """Delete kmsuser from a cluster."""
    simulator: Simulator = context.obj.simulator
    _show(simulator, simulator.manage("DELETE", CLUSTERS, cluster_id, "kmsuser"), as_json=as_json)


def _show(simulator: Simulator, answer: Answer, *, as_json: bool) -> None:
    if as_json:
        screen.document(answer)
        return
    cluster = simulator.read(answer, ClusterView)
    token = cluster.token
    screen.card(
        [
            ("cluster", cluster.cloud_hsm_cluster_id),
            ("state", cluster.state),
            ("account", cluster.account_id),
            ("Region", cluster.region),
            ("created", screen.moment(cluster.create_timestamp)),
            ("kmsuser", "exists" if cluster.kmsuser_exists else "does not exist"),
            ("token", f"{token.label}, serial {token.serial_number}, {token.profile}" if token else "none"),
            *((hsm.hsm_id, f"{hsm.availability_zone} {hsm.state}") for hsm in cluster.hsms),
        ]
    )
    screen.line()
    screen.line(cluster.trust_anchor_certificate.rstrip())
