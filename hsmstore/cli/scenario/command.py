"""`hsmstore scenario run`: play a scenario, on a simulator of its own or on yours."""

from pathlib import Path
from typing import Annotated, Final

import typer

from hsmstore.cli.options import AsJson

app: Final = typer.Typer(help="Play stories of what can happen to key stores.")


@app.callback()
def group() -> None:
    """Keep `run` a subcommand, the only one as it is."""


@app.command("run")
def run(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The scenario, YAML: see docs/scenarios.md.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would happen; do nothing.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything as it is at the end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Play a scenario: every step must come true.

    The first that does not ends it with 1, and with what was seen instead.

    It plays on a simulator of its own, with a temporary data directory; or on yours, where --endpoint or
    HSMSTORE_ENDPOINT names one. The whole file is checked before anything happens.
    """
    from hsmstore.cli.scenario import running  # noqa: PLC0415 - loads the YAML parser, which others need not

    script = running.checked(file)
    if dry_run:
        running.list_steps(script, as_json=as_json)
    else:
        running.play_all(context.obj, script, keep=keep, as_json=as_json)
