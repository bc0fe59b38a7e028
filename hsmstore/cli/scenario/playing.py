"""A script played on a stage, step by step, until one does not come true."""

from typing import Final, NamedTuple, Protocol

from hsmstore.cli.client import Refused, Unreachable
from hsmstore.cli.clock import pauses
from hsmstore.cli.scenario.script import DROPPED, Script, Step
from hsmstore.cli.scenario.stage import PATIENCE, Stage
from hsmstore.cli.waiting import ON_THE_WAY, Unsettled

TRUE: Final = "✓"
UNTRUE: Final = "✗"


class Played(NamedTuple):
    """A step that was played: whether it came true, where it stands, what came of it."""

    mark: str
    line: str
    step: str
    outcome: str


class Watcher(Protocol):
    """Whoever watches."""

    def busy(self, text: str) -> None:
        """See what is under way."""
        ...

    def add(self, row: Played) -> None:
        """See what came of a step."""
        ...


def play(script: Script, stage: Stage, watcher: Watcher) -> None:
    """Play every step.

    Raises:
        Unsettled: a step did not come true; the text has its place and what was seen instead.

    """
    for step in script.steps:
        watcher.busy(str(step))
        try:
            outcome = _play(step, stage)
        except (Unsettled, Refused) as error:
            seen = f"refused: {error}" if isinstance(error, Refused) else str(error)
            watcher.add(Played(UNTRUE, str(step.line), str(step), seen))
            wanted = f"expected {step.expected}, but " if str(step.expected) else ""
            raise Unsettled(f"{script.file}:{step.line}: {step}: {wanted}{seen}") from error
        watcher.add(Played(TRUE if outcome else "", str(step.line), str(step), outcome))


def _play(step: Step, stage: Stage) -> str:
    times = step.values.get("times", 1) if step.name == "random" else 1
    outcomes = [_act(step, stage) for _ in range(times)]
    often = f"{times} times " if times > 1 else ""
    if step.expected.state is None:
        return often + outcomes[-1]
    came = _come_to_rest(step, stage)
    return came if outcomes[-1] in {"", "done"} else f"{often}{outcomes[-1]}, {came}"


def _act(step: Step, stage: Stage) -> str:
    refused = step.expected.exception
    try:
        outcome = step.verb.act(stage, step.subject, step.values)
    except Refused as error:
        if error.code != refused:
            raise
        return f"refused: {error.code}"
    except Unreachable:
        if refused != DROPPED:
            raise
        return "no answer"
    if refused is not None:
        raise Unsettled(f"nothing refused it: {outcome}")
    return outcome


def _come_to_rest(step: Step, stage: Stage) -> str:
    """Wait for the expected state; return the states on the way."""
    wanted, passed, error = step.expected.state, [""], None
    for _ in pauses(PATIENCE):
        entry = stage.simulator.key_store(stage.stores[step.subject])
        state, error = str(entry["ConnectionState"]), entry.get("ConnectionErrorCode")
        if state != passed[-1]:
            passed.append(state)
        if state == wanted or state not in ON_THE_WAY:
            break
    came = " → ".join(passed[1:]) + (f" ({error})" if error else "")
    if passed[-1] != wanted or step.expected.error not in {None, error}:
        still = f", still after {PATIENCE:g} s; does the clock stand?" if passed[-1] in ON_THE_WAY else ""
        raise Unsettled(f"it is {came}{still}")
    return came
