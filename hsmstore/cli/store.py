"""`hsmstore store`: the operations on custom key stores, over the AWS wire."""

from pathlib import Path
from typing import Annotated, Final

import typer

from hsmstore.cli import explaining, screen
from hsmstore.cli.client import Simulator
from hsmstore.cli.ids import CLUSTERS, StoreId
from hsmstore.cli.options import AsJson, read_text, required_secret, takes_secret
from hsmstore.cli.views import ClusterView, CreatedView, StoreView
from hsmstore.cli.waiting import entry_of, require_state, settled
from hsmstore.cli.xks import takes_xks, xks_members
from hsmstore.settings import BadSetting

app: Final = typer.Typer(help="Make, connect and keep custom key stores.")

PATIENCE: Final = 1800.0
"""Seconds that a wait lasts by default: connecting takes up to 20 minutes where durations are AWS's."""

Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the outcome.")]
Timeout = Annotated[float, typer.Option(metavar="SECONDS", min=0, help="How long to wait.")]


@app.command("create")
@takes_secret("password", "kmsuser's password in the cluster")
@takes_xks
@takes_secret("xks_secret", "The secret of that credential")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new store's name.")],
    *,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="CLUSTER", help="The cluster that holds the keys.", autocompletion=CLUSTERS),
    ] = None,
    password: str | None,
    trust_anchor: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The cluster's certificate, PEM; none: the simulator is asked for it."
        ),
    ] = None,
    xks: dict[str, str],
    xks_secret: str | None,
    as_json: AsJson = False,
) -> None:
    """Make a key store, over a cluster or an external proxy."""
    simulator: Simulator = context.obj.simulator
    external = xks_members(xks, xks_secret)
    if (cluster is None) == (not external):
        raise BadSetting("--cluster or the --xks options: a key store has a cluster or an external proxy")
    if cluster is None:
        members: dict[str, object] = {"CustomKeyStoreType": "EXTERNAL_KEY_STORE", **external}
    else:
        members = {
            "CloudHsmClusterId": cluster,
            "KeyStorePassword": required_secret("password", password),
            "TrustAnchorCertificate": _trust_anchor(simulator, cluster, trust_anchor),
        }
    answer = simulator.kms("CreateCustomKeyStore", CustomKeyStoreName=name, **members)
    if as_json:
        screen.document(answer)
    else:
        key_store_id = simulator.read(answer, CreatedView).custom_key_store_id
        screen.line(f"{key_store_id} is created; next: hsmstore store connect {key_store_id}")


def _trust_anchor(simulator: Simulator, cluster_id: str, file: Path | None) -> str:
    if file is not None:
        return read_text("--trust-anchor", file)
    cluster = simulator.read(simulator.manage("GET", "clusters", cluster_id), ClusterView)
    return cluster.trust_anchor_certificate


@app.command("list")
def list_stores(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the key stores of the account and Region."""
    simulator: Simulator = context.obj.simulator
    entries = simulator.key_stores()
    if as_json:
        screen.document({"CustomKeyStores": entries})
        return
    screen.table(
        ["STORE", "NAME", "STATE", "ERROR", "TYPE", "CLUSTER", "CREATED"],
        [
            [
                store.custom_key_store_id,
                store.custom_key_store_name,
                store.connection_state,
                store.connection_error_code or "",
                store.custom_key_store_type,
                store.cloud_hsm_cluster_id or "",
                screen.moment(store.creation_date),
            ]
            for store in simulator.read(entries, list[StoreView])
        ],
    )


@app.command("show")
def show(context: typer.Context, key_store_id: StoreId, *, as_json: AsJson = False) -> None:
    """Show a key store."""
    _show(context.obj.simulator, key_store_id, as_json=as_json)


app.command("explain")(explaining.explain)
app.command("watch")(explaining.watch)


@app.command("connect")
def connect(
    context: typer.Context,
    key_store_id: StoreId,
    *,
    wait: Wait = True,
    timeout: Timeout = PATIENCE,
    as_json: AsJson = False,
) -> None:
    """Connect a key store to its cluster."""
    _go(context.obj.simulator, key_store_id, "Connect", timeout if wait else None, as_json=as_json)


@app.command("disconnect")
def disconnect(
    context: typer.Context,
    key_store_id: StoreId,
    *,
    wait: Wait = True,
    timeout: Timeout = PATIENCE,
    as_json: AsJson = False,
) -> None:
    """Disconnect a key store; no byte is drawn from it then."""
    _go(context.obj.simulator, key_store_id, "Disconnect", timeout if wait else None, as_json=as_json)


def _go(simulator: Simulator, key_store_id: str, way: str, timeout: float | None, *, as_json: bool) -> None:
    """Start `Connect` or `Disconnect`, wait where a timeout is given, show where it has led."""
    simulator.kms(f"{way}CustomKeyStore", CustomKeyStoreId=key_store_id)
    if timeout is None:
        _show(simulator, key_store_id, as_json=as_json)
        return
    with screen.progress(key_store_id) as tell:
        store = settled(simulator, key_store_id, timeout=timeout, tell=tell)
    _show(simulator, key_store_id, as_json=as_json)
    require_state(store, f"{way}ed".upper())


@app.command("update")
@takes_secret("password", "What kmsuser's password in the cluster now is")
@takes_xks
@takes_secret("xks_secret", "The secret of that credential")
def update(
    context: typer.Context,
    key_store_id: StoreId,
    *,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="A new name.")] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="CLUSTER", help="Another cluster with the same certificate.", autocompletion=CLUSTERS
        ),
    ] = None,
    password: str | None,
    xks: dict[str, str],
    xks_secret: str | None,
    as_json: AsJson = False,
) -> None:
    """Change a key store; mostly it must be DISCONNECTED."""
    members: dict[str, object] = {
        "NewCustomKeyStoreName": name,
        "CloudHsmClusterId": cluster,
        "KeyStorePassword": password,
        **xks_members(xks, xks_secret),
    }
    if not any(value is not None for value in members.values()):
        raise BadSetting("nothing to change: give at least one option of `hsmstore store update --help`")
    answer = context.obj.simulator.kms("UpdateCustomKeyStore", CustomKeyStoreId=key_store_id, **members)
    if as_json:
        screen.document(answer)
    else:
        screen.line(f"{key_store_id} is updated")


@app.command("delete")
def delete(context: typer.Context, key_store_id: StoreId, *, as_json: AsJson = False) -> None:
    """Delete a DISCONNECTED key store; its cluster stays."""
    answer = context.obj.simulator.kms("DeleteCustomKeyStore", CustomKeyStoreId=key_store_id)
    if as_json:
        screen.document(answer)
    else:
        screen.line(f"{key_store_id} is deleted")


def _show(simulator: Simulator, key_store_id: str, *, as_json: bool) -> None:
    entry = entry_of(simulator, key_store_id)
    if as_json:
        screen.document(entry)
        return
    store = simulator.read(entry, StoreView)
    members = [
        ("key store", store.custom_key_store_id),
        ("name", store.custom_key_store_name),
        ("state", store.connection_state),
        ("error", store.connection_error_code),
        ("type", store.custom_key_store_type),
        ("cluster", store.cloud_hsm_cluster_id),
        *(store.xks_proxy_configuration or {}).items(),
        ("created", screen.moment(store.creation_date)),
    ]
    screen.card([(label, value) for label, value in members if value])
