"""`hsmstore cluster key`: the keys on a cluster's token, as kmsuser sees them."""

from typing import Final

import typer

from hsmstore.cli import screen
from hsmstore.cli.client import Simulator
from hsmstore.cli.ids import ClusterId, KeyId
from hsmstore.cli.options import AsJson

app: Final = typer.Typer(help="See what keys a token has, and delete them.")


@app.command("list")
def list_keys(context: typer.Context, cluster_id: ClusterId, *, as_json: AsJson = False) -> None:
    """List the keys on the token of a connected key store."""
    simulator: Simulator = context.obj.simulator
    keys = simulator.cluster(cluster_id).keys()
    if as_json:
        screen.document({"Keys": keys})
    else:
        screen.table(["KEY ID", "LABEL"], [[key.get("KeyId", ""), key["Label"]] for key in keys])


@app.command("delete")
def delete(
    context: typer.Context,
    cluster_id: ClusterId,
    key_id: KeyId,
    *,
    as_json: AsJson = False,
) -> None:
    """Delete a key's material, behind KMS's back and for good."""
    simulator: Simulator = context.obj.simulator
    simulator.cluster(cluster_id).delete_key(key_id)
    if as_json:
        screen.document({})
    else:
        screen.line(f"the material of {key_id} is deleted")
