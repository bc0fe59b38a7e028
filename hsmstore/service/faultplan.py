"""The fault plan as the running process keeps it.

With an empty plan an occasion costs one look at `active`. Plan and counters are in the registry as well, so
that a restart goes on where it stood. A plan that replicas share is counted there: a fault for the next three
draws strikes three, whoever makes them. That there is a fault at all a replica knows from the last reload.
"""

import threading
from collections.abc import Callable, Collection
from typing import Final

from hsmstore.domain.errors import Conflict
from hsmstore.domain.faults import Effect, Fault, Occasion
from hsmstore.domain.ports import Clock, Registry

LOOK: Final = 0.02  # seconds between two looks whether a call that is held may go on
ATTEMPTS: Final = 100  # to count an occasion that every replica is counting at the same time

Plan = tuple[Fault, ...]


class FaultPlan:
    """The faults in force. Safe to share between threads."""

    def __init__(self, registry: Registry, clock: Clock, *, holds: int, shared: bool = False) -> None:
        """Begin with an empty plan, until `reload` is called; at most `holds` calls hang at a time.

        With `shared` other processes change the plan in the registry, too.
        """
        self._registry = registry
        self._shared = shared
        self._clock = clock
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._holds = threading.Semaphore(holds)
        self.active = False
        self._faults: Plan = ()

    @property
    def faults(self) -> Plan:
        """The plan, in the order in which faults are tried; one that is over stays until it is removed."""
        return self._faults

    def reload(self) -> None:
        """Take up the plan as it is in the registry."""
        with self._lock, self._registry.reading() as unit:
            self._adopt(tuple(unit.faults()))

    def change(self, edit: Callable[[Plan], Plan]) -> None:
        """Replace the plan by what `edit` makes of it."""
        with self._lock:
            self._write(edit)

    def meet(self, occasion: Occasion, effects: Collection[Effect]) -> list[Fault]:
        """Count an occasion with the faults of these effects that it concerns; return those that strike.

        What ends the occasion is the last to be met: two such faults strike one after the other.
        """
        if not self.active:
            return []
        with self._lock:
            now, struck = self._clock.now(), list[Fault]()

            def count(plan: Plan) -> Plan:
                counted, struck[:] = _counted(plan, occasion, effects, now)
                return counted

            if count(self._faults) != self._faults:
                self._write(count)
            return struck

    def hangs(self, occasion: Occasion) -> bool:
        """Tell whether a fault holds this phase up for now. Nothing is counted."""
        return self.active and any(
            fault.effect is Effect.HANG and fault.concerns(occasion, self._clock.now())
            for fault in self._faults
        )

    def hold(self, fault: Fault) -> bool:
        """Wait for as long as the fault is in the plan and not over; tell whether there was room to wait.

        A thread is kept free, by which the plan can be changed.
        """
        if not self._holds.acquire(blocking=False):
            return False
        try:
            while self._is_in_force(fault) and not self._ended.wait(LOOK):
                pass
            return True
        finally:
            self._holds.release()

    def wait(self, fault: Fault) -> None:
        """Wait for the fault's seconds of real time, or until the process ends."""
        self._ended.wait(fault.seconds)

    def end(self) -> None:
        """Let every call that waits go on, as the process ends."""
        self._ended.set()

    @property
    def ended(self) -> bool:
        """Whether the process ends."""
        return self._ended.is_set()

    def _is_in_force(self, fault: Fault) -> bool:
        in_plan = any(entry.id == fault.id for entry in self._faults)
        return in_plan and (fault.until is None or self._clock.now() < fault.until)

    def _write(self, edit: Callable[[Plan], Plan]) -> None:
        """Write what `edit` makes of the plan, as often as another replica's change comes first."""
        for attempt in range(ATTEMPTS):
            try:
                with self._registry.writing() as unit:
                    plan = edit(tuple(unit.faults()) if self._shared else self._faults)
                    unit.replace_faults(plan)
            except Conflict:
                if not self._shared or attempt == ATTEMPTS - 1:
                    raise
            else:
                self._adopt(plan)
                return

    def _adopt(self, plan: Plan) -> None:
        self._faults = plan
        self.active = bool(plan)


def _counted(
    plan: Plan, occasion: Occasion, effects: Collection[Effect], now: float
) -> tuple[Plan, list[Fault]]:
    """Count an occasion; return the plan with its counters, and the faults that strike."""
    met, struck = dict[str, Fault](), list[Fault]()
    for fault in plan:
        if fault.effect in effects and fault.concerns(occasion, now):
            met[fault.id], strikes = fault.meet()
            struck += [fault] if strikes else []
            if strikes and fault.effect.is_final:
                break
    return tuple(met.get(fault.id, fault) for fault in plan), struck
