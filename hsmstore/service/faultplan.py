"""The fault plan as the running process keeps it.

With an empty plan an occasion costs one look at `active`. Plan and counters are in the registry as well, so
that a restart goes on where it stood.
"""

import threading
from collections.abc import Callable, Collection
from typing import Final

from hsmstore.domain.faults import Effect, Fault, Occasion
from hsmstore.domain.ports import Clock, Registry

LOOK: Final = 0.02  # seconds between two looks whether a call that is held may go on


class FaultPlan:
    """The faults in force. Safe to share between threads."""

    def __init__(self, registry: Registry, clock: Clock, *, holds: int) -> None:
        """Take up the plan that the registry holds; at most `holds` calls hang at a time."""
        self._registry = registry
        self._clock = clock
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._holds = threading.Semaphore(holds)
        with registry.reading() as unit:
            self._faults = tuple(unit.faults())
        self.active = bool(self._faults)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The plan, in the order in which faults are tried; one that is over stays until it is removed."""
        return self._faults

    def change(self, edit: Callable[[tuple[Fault, ...]], tuple[Fault, ...]]) -> None:
        """Replace the plan by what `edit` makes of it."""
        with self._lock:
            self._write(edit(self._faults))

    def meet(self, occasion: Occasion, effects: Collection[Effect]) -> list[Fault]:
        """Count an occasion with the faults of these effects that it concerns; return those that strike.

        What ends the occasion is the last to be met: two such faults strike one after the other.
        """
        if not self.active:
            return []
        with self._lock:
            now, met, struck = self._clock.now(), dict[str, Fault](), list[Fault]()
            for fault in self._faults:
                if fault.effect in effects and fault.concerns(occasion, now):
                    met[fault.id], strikes = fault.meet()
                    struck += [fault] if strikes else []
                    if strikes and fault.effect.is_final:
                        break
            if met:
                self._write(tuple(met.get(fault.id, fault) for fault in self._faults))
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

    def _write(self, faults: tuple[Fault, ...]) -> None:
        with self._registry.writing() as unit:
            unit.replace_faults(faults)
        self._faults = faults
        self.active = bool(faults)
