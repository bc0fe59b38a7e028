"""`hsmstore cluster kmsuser`: the crypto user as whom KMS logs in."""

from typing import Annotated, Final

import typer

from hsmstore.cli.client import Simulator
from hsmstore.cli.cluster_card import show_cluster
from hsmstore.cli.ids import HSMS, ClusterId
from hsmstore.cli.options import AsJson, required_secret, takes_secret

app: Final = typer.Typer(help="Keep kmsuser, as whom KMS logs in to a cluster.")

OneHsm = Annotated[
    str | None,
    typer.Option("--hsm", metavar="HSM", help="On this HSM alone, instead of on all.", autocompletion=HSMS),
]


@app.command("create")
@takes_secret("password", "kmsuser's password, 7 to 32 characters")
def create(
    context: typer.Context,
    cluster_id: ClusterId,
    *,
    password: str | None,
    hsm: OneHsm = None,
    as_json: AsJson = False,
) -> None:
    """Make kmsuser where there is none."""
    simulator: Simulator = context.obj.simulator
    secret = required_secret("password", password)
    show_cluster(simulator, simulator.cluster(cluster_id).create_kmsuser(secret, hsm=hsm), as_json=as_json)


@app.command("set-password")
@takes_secret("password", "kmsuser's new password, 7 to 32 characters")
def set_password(
    context: typer.Context, cluster_id: ClusterId, *, password: str | None, as_json: AsJson = False
) -> None:
    """Set kmsuser's password in the cluster; it lifts a lock-out.

    KMS does not learn of it: tell it with `hsmstore store update`.
    """
    simulator: Simulator = context.obj.simulator
    secret = required_secret("password", password)
    show_cluster(simulator, simulator.cluster(cluster_id).set_kmsuser_password(secret), as_json=as_json)


@app.command("delete")
def delete(
    context: typer.Context, cluster_id: ClusterId, *, hsm: OneHsm = None, as_json: AsJson = False
) -> None:
    """Delete kmsuser from a cluster, or from one HSM."""
    simulator: Simulator = context.obj.simulator
    show_cluster(simulator, simulator.cluster(cluster_id).delete_kmsuser(hsm=hsm), as_json=as_json)


@app.command("login")
def log_in(context: typer.Context, cluster_id: ClusterId, *, as_json: AsJson = False) -> None:
    """Log kmsuser in from another process, so that KMS cannot."""
    simulator: Simulator = context.obj.simulator
    show_cluster(simulator, simulator.cluster(cluster_id).log_in_kmsuser(), as_json=as_json)


@app.command("logout")
def log_out(context: typer.Context, cluster_id: ClusterId, *, as_json: AsJson = False) -> None:
    """End that session of kmsuser."""
    simulator: Simulator = context.obj.simulator
    show_cluster(simulator, simulator.cluster(cluster_id).log_out_kmsuser(), as_json=as_json)
