"""What `hsmstore scenario run` does: check, set the stage, play, conclude."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from hsmstore.cli import screen
from hsmstore.cli.client import Simulator
from hsmstore.cli.invocation import Invocation
from hsmstore.cli.own_server import own_server
from hsmstore.cli.scenario.playing import UNTRUE, play
from hsmstore.cli.scenario.script import BadScenario, Script, load
from hsmstore.cli.scenario.stage import Stage
from hsmstore.cli.waiting import Unsettled


def checked(file: Path) -> Script:
    """Return the script of a file; all its mistakes are told.

    Raises:
        BadScenario: it has some.

    """
    try:
        return load(file)
    except BadScenario as error:
        for mistake in error.mistakes[:-1]:  # the last one is the command's own line
            screen.note(mistake)
        raise


def list_steps(script: Script, *, as_json: bool) -> None:
    """Tell what would happen."""
    rows = [(str(step.line), str(step), str(step.expected)) for step in script.steps]
    if as_json:
        steps = [{"Line": int(line), "Step": step, "Expected": expected} for line, step, expected in rows]
        screen.document({"Scenario": script.title, "Steps": steps})
    else:
        screen.table(["LINE", "STEP", "EXPECTED"], rows)


def play_all(invocation: Invocation, script: Script, *, keep: bool, as_json: bool) -> None:
    """Play a script from end to end.

    Raises:
        Unsettled: a step did not come true.

    """
    failure: Unsettled | None = None
    with screen.Board(["", "LINE", "STEP", "WHAT CAME OF IT"], shown=not as_json) as board:
        board.busy("reach the simulator")
        with _stage(invocation, script, keep=keep) as stage:
            try:
                play(script, stage, board)
            except Unsettled as error:
                failure = error
    _conclude(script, board, came_true=failure is None, as_json=as_json)
    if failure is not None:
        raise failure


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
            {"Line": int(line), "Step": step, "Outcome": outcome, "CameTrue": mark != UNTRUE}
            for mark, line, step, outcome in board.rows
        ]
        screen.document({"Scenario": script.title, "Steps": steps, "CameTrue": came_true})
    elif came_true:
        screen.line(f"\n{script.title}: all of it came true")
