"""The root of the command line: what stands before the subcommand, and how every command ends."""

import traceback
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

import hsmstore
from hsmstore.cli import (
    attest,
    cluster,
    database,
    demo,
    doctor,
    draw,
    fault,
    hsm,
    principal,
    screen,
    serve,
    simulated_clock,
    store,
    trail,
)
from hsmstore.cli.exits import MEANINGS, ExitCode, ending_of
from hsmstore.cli.invocation import invocation
from hsmstore.cli.scenario import command as scenario_command
from hsmstore.settings.environment import DEBUG_VARIABLE, LOCAL_ENDPOINT, environment

COMMANDS: Final = (
    *("serve", "demo", "cluster", "store", "random"),
    *("clock", "fault", "hold", "release", "scenario", "hsm", "attest", "principal", "trail", "db", "doctor"),
)

EPILOG: Final = (
    "\b\nExit codes:\n"
    + "\n".join(f"  {code.value:>3}  {meaning}" for code, meaning in MEANINGS.items())
    + "\n\n\b\nA newcomer's first two commands:\n"
    "  hsmstore serve     a simulator with a connected key store named demo\n"
    "  hsmstore demo      the whole life of a key store, on a simulator of its own"
)


class InOrder(TyperGroup):
    """The commands in the order in which somebody new meets them; Typer puts groups last."""

    def __init__(self, **attributes: Any) -> None:
        """Take what TyperGroup takes."""
        super().__init__(**attributes)
        self.commands = {name: self.commands[name] for name in COMMANDS}


app: Final = typer.Typer(
    name="hsmstore",
    cls=InOrder,
    rich_markup_mode=None,  # plain help: quick to show, and the same text in every place
    pretty_exceptions_enable=False,  # `main` words every exception
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EPILOG,
)
app.command("serve")(serve.serve)
app.add_typer(cluster.app, name="cluster")
app.add_typer(store.app, name="store")
app.command("random")(draw.random)
app.add_typer(simulated_clock.app, name="clock")
app.add_typer(fault.app, name="fault")
app.command("hold")(fault.hold)
app.command("release")(fault.release)
app.add_typer(scenario_command.app, name="scenario")
app.add_typer(hsm.app, name="hsm")
app.add_typer(attest.app, name="attest")
app.add_typer(principal.app, name="principal")
app.add_typer(trail.app, name="trail")
app.add_typer(database.app, name="db")
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - typer's signature of a callback
    if asked:
        screen.line(f"hsmstore {hsmstore.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    *,
    endpoint: Annotated[
        str | None,
        typer.Option(metavar="URL", help=f"Where the simulator is.  [default: {LOCAL_ENDPOINT}]"),
    ] = None,
    region: Annotated[
        str | None, typer.Option(metavar="REGION", help="The Region to speak for, instead of AWS_REGION.")
    ] = None,
    account: Annotated[
        str | None, typer.Option(metavar="ACCOUNT", help="The account to speak for: twelve digits.")
    ] = None,
    token_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The token of the management API, instead of HSMSTORE_TOKEN. Of a simulator on this machine"
            " it is found in the data directory.",
        ),
    ] = None,
    ca_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Authorities to trust over HTTPS, instead of AWS_CA_BUNDLE. Of a simulator on this machine"
            " they are found in the data directory.",
        ),
    ] = None,
    client_cert: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Certificate and key to show over HTTPS, instead of HSMSTORE_CLIENT_CERT.",
        ),
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Simulate AWS KMS custom key stores on this machine, over PKCS#11."""
    if context.invoked_subcommand is None:
        screen.line(context.get_help())
        raise typer.Exit
    typed = {"--endpoint": endpoint, "--region": region, "--account": account}
    typed |= {"--token-file": token_file, "--ca-file": ca_file, "--client-cert": client_cert}
    context.obj = invocation(typed)


def main() -> int:
    """Run the command line; return its exit code. Nothing that goes wrong shows a traceback by itself."""
    try:
        code = app(prog_name="hsmstore", standalone_mode=False)
        screen.write(b"")  # and with it what typer has left in the buffer
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last place that could word it
        screen.drop_unwritten()
        ending = ending_of(error)
        if ending.code is not ExitCode.INTERRUPTED and environment().get(DEBUG_VARIABLE):
            traceback.print_exception(error)
        if ending.line:
            screen.note(ending.line)
        return ending.code
    return code or ExitCode.DONE
