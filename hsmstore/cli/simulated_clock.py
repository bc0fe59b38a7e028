"""`hsmstore clock`: the clock of the simulation, so that nobody waits for it."""

from typing import Annotated, Final

import typer

from hsmstore.cli import screen
from hsmstore.cli.client import Answer, Simulator
from hsmstore.cli.durations import EXAMPLES, in_words, seconds_of
from hsmstore.cli.options import AsJson
from hsmstore.cli.views import ClockView
from hsmstore.settings import BadSetting

app: Final = typer.Typer(help="Show and set the clock of the simulation.")

STOPPED: Final = 0
AS_IN_LIFE: Final = 1


@app.command("show")
def show(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show what the clock of the simulation says."""
    simulator: Simulator = context.obj.simulator
    _show(simulator, simulator.clock.show(), as_json=as_json)


@app.command("advance")
def advance(
    context: typer.Context,
    duration: Annotated[str, typer.Argument(metavar="DURATION", help=f"How far: {EXAMPLES}.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Set the clock forward; whatever is due then happens."""
    simulator: Simulator = context.obj.simulator
    _show(simulator, simulator.clock.advance(typed_seconds("DURATION", duration)), as_json=as_json)


@app.command("freeze")
def freeze(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Stop the clock."""
    simulator: Simulator = context.obj.simulator
    _show(simulator, simulator.clock.freeze(), as_json=as_json)


@app.command("run")
def run(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Let the clock run as in life."""
    simulator: Simulator = context.obj.simulator
    _show(simulator, simulator.clock.run(), as_json=as_json)


@app.command("scale")
def scale(
    context: typer.Context,
    rate: Annotated[float, typer.Argument(metavar="RATE", min=0, help="Seconds of it in one of ours.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Let the clock run faster or slower."""
    simulator: Simulator = context.obj.simulator
    _show(simulator, simulator.clock.scale(rate), as_json=as_json)


def typed_seconds(place: str, text: str) -> float:
    """Return the duration that was typed at `place`.

    Raises:
        BadSetting: it is none.

    """
    try:
        return seconds_of(text)
    except ValueError as error:
        raise BadSetting(f"{place}: {error}") from error


def _show(simulator: Simulator, answer: Answer, *, as_json: bool) -> None:
    if as_json:
        screen.document(answer)
        return
    clock = simulator.read(answer, ClockView)
    ahead = clock.now - clock.real
    screen.card(
        [
            ("simulation", screen.moment(clock.now)),
            ("runs", _pace(clock.rate)),
            ("apart", f"{in_words(abs(ahead))} {'behind' if ahead < 0 else 'ahead of'} the real clock"),
        ]
    )


def _pace(rate: float) -> str:
    if rate == STOPPED:
        return "not at all: it is frozen"
    return "as in life" if rate == AS_IN_LIFE else f"{rate:g} seconds a second"
