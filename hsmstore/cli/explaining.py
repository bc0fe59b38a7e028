"""`hsmstore store explain` and `watch`: why a key store is in its state, and how it goes on."""

import json
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from hsmstore.cli import screen
from hsmstore.cli.client import Answer, Refused, Simulator
from hsmstore.cli.clock import pauses
from hsmstore.cli.durations import in_words
from hsmstore.cli.ids import STORES, StoreId
from hsmstore.cli.options import AsJson
from hsmstore.cli.views import ClockView, EventView, ExplanationView
from hsmstore.cli.waiting import Unsettled
from hsmstore.domain.connection import ConnectionState


def explain(context: typer.Context, key_store_id: StoreId, *, as_json: AsJson = False) -> None:
    """Tell why a key store is in its state, and how to mend it."""
    simulator: Simulator = context.obj.simulator
    answer = simulator.explain(key_store_id)
    if as_json:
        screen.document(answer)
        return
    told = simulator.read(answer, ExplanationView)
    now = simulator.read(simulator.clock.show(), ClockView).now
    screen.card(
        [
            ("key store", f"{told.custom_key_store_id}, {told.custom_key_store_name}"),
            ("state", told.connection_state),
            *([("error", told.connection_error_code)] if told.connection_error_code else []),
            ("since", f"{screen.moment(told.since)}, {in_words(now - told.since)} ago"),
            *([("until", _until(told.due, now))] if told.due else []),
            ("why", told.why),
        ]
    )
    if told.fix:
        screen.line("\nnext:\n")
        for command in told.fix:
            screen.line(f"  {command}")
    if told.history:
        screen.line("\nwhat happened:\n")
        for event in told.history:
            screen.happening(event.at, f"{event.event.replace('_', ' '):<20}", _outcome(event))


def _until(due: float, now: float) -> str:
    if now < due:
        return f"{screen.moment(due)}, in {in_words(due - now)}; `hsmstore clock advance` does not wait"
    return "a fault lets go: see `hsmstore fault list` and `hsmstore release`"


def _outcome(event: EventView) -> Sequence[str]:
    return [word for word in (event.connection_state, event.connection_error_code, event.detail) if word]


def watch(
    context: typer.Context,
    key_store_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="STORE", help="Which key stores; none: all.", autocompletion=STORES),
    ] = None,
    *,
    until: Annotated[
        ConnectionState | None,
        typer.Option(metavar="STATE", help="End when all of them are in this state.", case_sensitive=False),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="How long to watch at most.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Follow key stores: a line for each change, until Ctrl-C.

    With --json each line is a JSON document of its own.
    """
    simulator: Simulator = context.obj.simulator
    watched = _Watch(simulator, key_store_ids)
    for _ in pauses(float("inf") if timeout is None else timeout):
        for key_store_id, answer in watched.look():
            if as_json:
                screen.line(json.dumps({"CustomKeyStoreId": key_store_id, **answer}))
            else:
                event = simulator.read(answer, EventView)
                screen.happening(event.at, key_store_id, _outcome(event))
        if until and watched.states and watched.states == {until}:
            return
    if until:
        raise Unsettled(f"not every key store is {until} after {timeout:g} seconds")


class _Watch:
    """What has been seen of some key stores, or of all that there are.

    It reads their histories: a change that is over before the next look is not missed.
    """

    def __init__(self, simulator: Simulator, key_store_ids: Sequence[str] | None) -> None:
        self._simulator = simulator
        self._named = key_store_ids
        self._seen: dict[str, int] = {}
        self._states: dict[str, str] = {}

    @property
    def states(self) -> set[str]:
        """The states that were seen last."""
        return set(self._states.values())

    def look(self) -> Iterator[tuple[str, Answer]]:
        """Yield what is new, by key store: at first its state, then what happens to it."""
        ids = self._named or [entry["CustomKeyStoreId"] for entry in self._simulator.key_stores()]
        for gone in self._seen.keys() - set(ids):
            del self._seen[gone], self._states[gone]
        for key_store_id in ids:
            try:
                told = self._simulator.explain(key_store_id)
            except Refused:
                if self._named:
                    raise
                continue  # deleted since it was listed
            yield from ((key_store_id, event) for event in self._news(key_store_id, told))

    def _news(self, key_store_id: str, told: Answer) -> list[Answer]:
        history = self._simulator.member(told, "History", list)
        known = self._seen.get(key_store_id)
        self._seen[key_store_id] = len(history)
        self._states[key_store_id] = told["ConnectionState"]
        return history[-1:] if known is None else history[known:]
