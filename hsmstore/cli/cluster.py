"""`hsmstore cluster`: the clusters that stand behind key stores, over the management API."""

from pathlib import Path
from typing import Annotated, Final

import typer

from hsmstore.cli import cluster_keys, cluster_parts, kmsuser, screen
from hsmstore.cli.client import Simulator
from hsmstore.cli.cluster_card import show_certificate, show_cluster
from hsmstore.cli.ids import BackupId, ClusterId
from hsmstore.cli.options import AsJson, read_text, takes_secret
from hsmstore.cli.views import BackupView, ClusterView

app: Final = typer.Typer(help="Make and keep clusters, stand-ins for AWS CloudHSM.")

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
    pkcs11_address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Where a networked module finds the token, such as unix:path=PATH."
        ),
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
        Pkcs11Address=pkcs11_address,
        TokenLabel=token_label,
        CryptoOfficerPin=pin and pin.rstrip("\r\n"),
        **simulator.scope,
    )
    show_cluster(simulator, answer, as_json=as_json)
    if not as_json:
        show_certificate(simulator, answer)
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
    """Show a cluster, its parts and its certificate."""
    simulator: Simulator = context.obj.simulator
    answer = simulator.cluster(cluster_id).describe()
    show_cluster(simulator, answer, as_json=as_json)
    if not as_json:
        show_certificate(simulator, answer)


@app.command("delete")
def delete(context: typer.Context, cluster_id: ClusterId, *, as_json: AsJson = False) -> None:
    """Delete a cluster and its token."""
    answer = context.obj.simulator.manage("DELETE", CLUSTERS, cluster_id)
    if as_json:
        screen.document(answer)
    else:
        screen.line(f"{cluster_id} is deleted")


app.add_typer(cluster_parts.hsm, name="hsm")
app.add_typer(cluster_parts.network, name="network")
app.add_typer(cluster_parts.subnet, name="subnet")
app.add_typer(kmsuser.app, name="kmsuser")
app.add_typer(cluster_keys.app, name="key")


@app.command("backup")
def back_up(context: typer.Context, cluster_id: ClusterId, *, as_json: AsJson = False) -> None:
    """Back a cluster up: keys, users, certificate."""
    simulator: Simulator = context.obj.simulator
    answer = simulator.manage("POST", CLUSTERS, cluster_id, "backups")
    if as_json:
        screen.document(answer)
    else:
        backup_id = simulator.read(answer, BackupView).backup_id
        screen.line(f"{backup_id} is made; next: hsmstore cluster restore {backup_id}")


@app.command("backups")
def list_backups(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the backups of all clusters."""
    simulator: Simulator = context.obj.simulator
    answer = simulator.manage("GET", "backups")
    if as_json:
        screen.document(answer)
        return
    screen.table(
        ["BACKUP", "CLUSTER", "REGION", "CREATED"],
        [
            [backup.backup_id, backup.cluster_id, backup.region, screen.moment(backup.create_timestamp)]
            for backup in simulator.read(answer.get("Backups"), list[BackupView])
        ],
    )


@app.command("restore")
def restore(
    context: typer.Context,
    backup_id: BackupId,
    *,
    hsms: Annotated[int | None, typer.Option(help="How many HSMs.", show_default="2")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a cluster from a backup; it shares the certificate."""
    simulator: Simulator = context.obj.simulator
    answer = simulator.manage("POST", "backups", backup_id, "restore", HsmCount=hsms)
    show_cluster(simulator, answer, as_json=as_json)
    if not as_json:
        cluster_id = simulator.read(answer, ClusterView).cloud_hsm_cluster_id
        screen.line(f"\nnext: hsmstore store update STORE --cluster {cluster_id}")


@app.command("delete-backup")
def delete_backup(context: typer.Context, backup_id: BackupId, *, as_json: AsJson = False) -> None:
    """Delete a backup."""
    answer = context.obj.simulator.manage("DELETE", "backups", backup_id)
    if as_json:
        screen.document(answer)
    else:
        screen.line(f"{backup_id} is deleted")
