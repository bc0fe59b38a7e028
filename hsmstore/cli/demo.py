"""`hsmstore demo`: the tour, with somebody watching."""

from contextlib import nullcontext

import typer

from hsmstore.cli import screen
from hsmstore.cli.invocation import Invocation
from hsmstore.cli.options import AsJson
from hsmstore.cli.own_server import own_server
from hsmstore.cli.tour import Tour, walk


def demo(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Walk through the whole life of a key store.

    It walks on a simulator of its own, with a temporary data directory; or on yours, where --endpoint or
    HSMSTORE_ENDPOINT names one. Whatever it made there is deleted at the end.
    """
    invocation: Invocation = context.obj
    theirs = invocation.simulator
    place = (
        nullcontext(theirs)
        if invocation.endpoint_chosen
        else own_server(account=theirs.account, region=theirs.region)
    )
    with screen.Board(["STEP", "OUTCOME", "STATE"], shown=not as_json) as board:
        board.busy("reach the simulator")
        with place as simulator:
            walk(Tour(simulator, board))
    if as_json:
        steps = [{"Step": what, "Outcome": outcome, "State": state} for what, outcome, state in board.rows]
        screen.document({"Steps": steps})
