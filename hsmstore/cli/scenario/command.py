"""`hsmstore scenario run`: play a scenario, on a simulator of its own or on yours."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated, Final

import typer

from hsmstore.cli import screen
from hsmstore.cli.client import Simulator
from hsmstore.cli.options import AsJson, Invocation
from hsmstore.cli.own_server import own_server
from hsmstore.cli.scenario.playing import play
from hsmstore.cli.scenario.script import BadScenario, Script, load
from hsmstore.cli.scenario.stage import Stage
from hsmstore.cli.waiting import Unsettled

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
    """Play a scenario; exit with 1 at the first step that does not come true.

    It plays on a simulator of its own, with a temporary data directory; or on yours, where --endpoint or
    HSMSTORE_ENDPOINT names one. The whole file is checked before anything happens.
    """
    script = _checked(file)
    if dry_run:
        _list(script, as_json=as_json)
        return
    failure: Unsettled | None = None
    with screen.Board(["", "LINE", "STEP", "WHAT CAME OF IT"], shown=not as_json) as board:
        board.busy("reach the simulator")
        with _stage(context.obj, script, keep=keep) as stage:
            try:
                play(script, stage, board)
            except Unsettled as error:
                failure = error
    _conclude(script, board, came_true=failure is None, as_json=as_json)
    if failure is not None:
        raise failure


def _checked(file: Path) -> Script:
    try:
        return load(file)
    except BadScenario as error:
        for mistake in error.mistakes[:-1]:  # the last one is the command's own line
            screen.note(mistake)
        raise


def _list(script: Script, *, as_json: bool) -> None:
    rows = [(str(step.line), str(step), str(step.expected)) for step in script.steps]
    if as_json:
        steps = [{"Line": int(line), "Step": step, "Expected": expected} for line, step, expected in rows]
        screen.document({"Scenario": script.title, "Steps": steps})
    else:
        screen.table(["LINE", "STEP", "EXPECTED"], rows)


@contextmanager
def _stage(invocation: Invocation, script: Script, *, keep: bool) -> Iterator[Stage]:
    """Give the stage; what was made there is gone afterwards, unless it is to be kept."""
    theirs = invocation.simulator
    if invocation.endpoint_chosen:
        yield from _on(theirs, keep=keep)
        return
    directory = Path(mkdtemp(prefix="hsmstore-scenario-")) if keep else None
    profile = script.profile
    with own_server(theirs.account, theirs.region, profile=profile, directory=directory) as simulator:
        yield Stage(simulator)  # what was made goes with the server
    if directory is not None:
        screen.note(f"kept; to go on: hsmstore serve --profile {profile} --data-dir {directory / 'data'}")


def _on(simulator: Simulator, *, keep: bool) -> Iterator[Stage]:
    stage = Stage(simulator)
    try:
        yield stage
    finally:
        left = [] if keep else stage.clean_up()
        if left:
            screen.note(f"left behind, for it did not come to rest: {', '.join(left)}")


def _conclude(script: Script, board: screen.Board, *, came_true: bool, as_json: bool) -> None:
    if as_json:
        steps = [
            {"Line": int(line), "Step": step, "Outcome": outcome, "CameTrue": mark != "✗"}
            for mark, line, step, outcome in board.rows
        ]
        screen.document({"Scenario": script.title, "Steps": steps, "CameTrue": came_true})
    elif came_true:
        screen.line(f"\n{script.title}: all of it came true")
