"""`hsmstore fault`, `hold` and `release`: the fault plan."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from hsmstore.cli import screen
from hsmstore.cli.client import Simulator
from hsmstore.cli.durations import in_words, seconds_of
from hsmstore.cli.ids import CLUSTERS, STORES, FaultId
from hsmstore.cli.options import AsJson, option, takes
from hsmstore.cli.simulated_clock import typed_seconds
from hsmstore.cli.views import ClockView, FaultView
from hsmstore.domain.faults import Effect
from hsmstore.settings import BadSetting

app: Final = typer.Typer(help="Let calls and phases fail: the fault plan.")

OF_ERRORS: Final = {Effect.CONNECTION_ERROR, Effect.EXCEPTION}
OF_TIME: Final = {Effect.LATENCY, Effect.TIMEOUT}


class Holdable(StrEnum):
    """A phase that can be held."""

    CONNECT = "connect"
    DISCONNECT = "disconnect"


_WHEN: Final = (
    option(
        "store",
        str | None,
        "--store",
        metavar="STORE",
        help="Of this key store alone.",
        autocompletion=STORES,
    ),
    option(
        "cluster",
        str | None,
        "--cluster",
        metavar="CLUSTER",
        help="Of this cluster alone.",
        autocompletion=CLUSTERS,
    ),
    option("times", int | None, "--times", metavar="N", min=1, help="Only the next N."),
    option("every", int | None, "--every", metavar="N", min=1, help="Only every Nth."),
    option("probability", float | None, "--probability", metavar="P", help="Each with this probability."),
    option("seed", int | None, "--seed", metavar="N", help="To replay what --probability chose."),
    option(
        "until",
        str | None,
        "--until",
        metavar="WHEN",
        help="By the simulation's clock: a date, or 20m from now.",
    ),
)


@app.command("add")
@takes("when", _WHEN, dict)
def add(
    context: typer.Context,
    point: Annotated[
        str,
        typer.Argument(
            metavar="POINT", help="connect, disconnect, draw, encrypt, decrypt, or a KMS operation."
        ),
    ],
    effect: Annotated[
        Effect, typer.Argument(metavar="EFFECT", help=f"One of {', '.join(Effect)}.", show_choices=False)
    ],
    what: Annotated[
        str | None, typer.Argument(metavar="WHAT", help="The error's code, or how long: 90s, 20m.")
    ] = None,
    *,
    when: dict[str, Any],
    as_json: AsJson = False,
) -> None:
    """Let a call or a phase fail, be late or hang."""
    simulator: Simulator = context.obj.simulator
    until = when.pop("until")
    answer = simulator.faults.add(
        point,
        effect,
        what if effect in OF_ERRORS else None,
        seconds=_seconds(effect, what),
        until=None if until is None else _moment(simulator, until),
        **when,
    )
    if as_json:
        screen.document(answer)
        return
    fault = simulator.read(answer, FaultView)
    seeded = f" with seed {fault.seed}" if fault.probability is not None else ""
    screen.line(f"{fault.fault_id} is in the plan{seeded}: {_about(fault)} {_does(fault)}")


def _seconds(effect: Effect, what: str | None) -> float | None:
    """Return the duration that goes with the effect, and see that WHAT is there where it is needed."""
    if effect in OF_TIME:
        return typed_seconds("WHAT", what or "")
    if (what is None) is (effect in OF_ERRORS):
        wanted = "needs the error's code" if what is None else f"takes no {what!r}"
        raise BadSetting(f"WHAT: the effect {effect} {wanted}")
    return None


def _moment(simulator: Simulator, text: str) -> float:
    """Return a moment of the simulation: a date, or a duration from now."""
    try:
        ahead = seconds_of(text)
    except ValueError:
        try:
            return datetime.fromisoformat(text).astimezone().timestamp()
        except ValueError:
            raise BadSetting(f"--until: {text!r} is neither 20m nor a date such as 2026-01-31") from None
    return simulator.read(simulator.clock.show(), ClockView).now + ahead


@app.command("list")
def list_faults(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the fault plan, and how often each was met."""
    simulator: Simulator = context.obj.simulator
    faults = simulator.faults.list()
    if as_json:
        screen.document({"Faults": faults})
        return
    screen.table(
        ["FAULT", "ABOUT", "EFFECT", "WHEN", "SEEN", "STRUCK"],
        [
            [f.fault_id, _about(f), _does(f), _when(f), str(f.seen), str(f.struck)]
            for f in simulator.read(faults, list[FaultView])
        ],
    )


def _about(fault: FaultView) -> str:
    return " of ".join(filter(None, [fault.point, fault.custom_key_store_id, fault.cluster_id]))


def _does(fault: FaultView) -> str:
    seconds = in_words(fault.seconds) if fault.seconds else None
    return " ".join(filter(None, [fault.effect, fault.error, seconds]))


def _when(fault: FaultView) -> str:
    words: tuple[tuple[object, Callable[[], str]], ...] = (
        (fault.times, lambda: f"next {fault.times}"),
        (fault.every, lambda: f"every {fault.every}."),
        (fault.probability, lambda: f"p = {fault.probability:g}, seed {fault.seed}"),
        (fault.until, lambda: f"until {screen.moment(fault.until or 0)}"),
    )
    return ", ".join(word() for value, word in words if value is not None) or "always"


@app.command("remove")
def remove(
    context: typer.Context,
    fault_id: FaultId,
    *,
    as_json: AsJson = False,
) -> None:
    """Take a fault out of the plan; what it holds up goes on."""
    context.obj.simulator.faults.remove(fault_id)
    if as_json:
        screen.document({})
    else:
        screen.line(f"{fault_id} is removed")


@app.command("clear")
def clear(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Empty the fault plan."""
    context.obj.simulator.faults.clear()
    if as_json:
        screen.document({})
    else:
        screen.line("the plan is empty")


HeldStore = Annotated[
    str | None,
    typer.Argument(metavar="STORE", help="This key store alone; none: every one.", autocompletion=STORES),
]


def hold(
    context: typer.Context,
    phase: Annotated[Holdable, typer.Argument(metavar="PHASE", help="connect or disconnect.")],
    key_store_id: HeldStore = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Let connecting or disconnecting not end before `release`."""
    answer = context.obj.simulator.hold(phase, key_store_id)
    if as_json:
        screen.document(answer)
    else:
        about = " ".join(filter(None, [phase, key_store_id]))
        screen.line(f"{about} is held; next: hsmstore release {about}")


def release(
    context: typer.Context,
    phase: Annotated[
        Holdable | None, typer.Argument(metavar="PHASE", help="connect or disconnect; none: both.")
    ] = None,
    key_store_id: HeldStore = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Let go on what `hold` holds."""
    count = context.obj.simulator.release(phase, key_store_id)
    if as_json:
        screen.document({"Released": count})
    else:
        screen.line(f"{count} released" if count else "nothing was held")
