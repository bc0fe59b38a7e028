"""`hsmstore serve`: the simulator itself."""

import functools
import json
from typing import Annotated

import msgspec
import typer

from hsmstore.cli import screen, welcome
from hsmstore.cli.invocation import Invocation
from hsmstore.cli.options import AsJson, takes_settings
from hsmstore.settings import BadSetting, Loaded


@takes_settings()
def serve(
    context: typer.Context,
    *,
    loaded: Loaded,
    print_settings: Annotated[
        bool,
        typer.Option("--print-settings", help="Print the settings and where each came from; do not serve."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Serve custom key stores until Ctrl-C.

    Every option may also stand in the environment (--data-dir as HSMSTORE_DATA_DIR) and in a TOML file
    (as data_dir), whose name is given with --config or HSMSTORE_CONFIG. The command line wins over the
    environment, the environment over the file. SIGHUP has the file read again; profile, key_store_quota,
    quotas, quota_rate and log_level change at once.
    """
    _refuse_what_is_for_clients(context.obj)
    if print_settings:
        _print(loaded, as_json=as_json)
        return
    from hsmstore.bootstrap import serving  # noqa: PLC0415 - the server's libraries, which no other command needs

    serving.serve(loaded, functools.partial(welcome.welcome, loaded.settings, as_json=as_json))


def _refuse_what_is_for_clients(invocation: Invocation) -> None:
    if invocation.given:
        option = invocation.given[0]
        raise BadSetting(
            f"{option} before `serve` tells a client where to go; put serve's own options after it"
        )


def _print(loaded: Loaded, *, as_json: bool) -> None:
    values = msgspec.to_builtins(loaded.settings.masked(), enc_hook=str)
    if as_json:
        screen.document({name: {"value": values[name], "from": loaded.origins[name]} for name in values})
        return
    assignments = {
        name: f"# {name} is not set"
        if value in (None, ())
        else f"{name} = {json.dumps(value, ensure_ascii=False)}"
        for name, value in values.items()
    }
    width = max(map(len, assignments.values()))
    for name, assignment in assignments.items():
        screen.line(f"{assignment:<{width}}  # {loaded.origins[name]}")
