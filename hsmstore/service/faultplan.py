"""The fault plan as the running process keeps it.

With an empty plan an occasion costs one look at `active`. Plan and counters are in the registry as well, so
that a restart goes on where it stood.
"""

import threading
from collections.abc import Callable, Collection

from hsmstore.domain.faults import Effect, Fault, Occasion
from hsmstore.domain.ports import Clock, Registry


class FaultPlan:
    """The faults in force. Safe to share between threads."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        """Take up the plan that the registry holds."""
        self._registry = registry
        self._clock = clock
        self._lock = threading.Lock()
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
        """Count an occasion with every fault of these effects that it concerns; return those that strike."""
        if not self.active:
            return []
        with self._lock:
            now = self._clock.now()
            met = {
                fault.id: fault.meet()
                for fault in self._faults
                if fault.effect in effects and fault.concerns(occasion, now)
            }
            if met:
                self._write(tuple(met[f.id][0] if f.id in met else f for f in self._faults))
            return [fault for fault, strikes in met.values() if strikes]

    def hangs(self, occasion: Occasion) -> bool:
        """Tell whether a fault holds this occasion up for now. Nothing is counted."""
        return self.active and any(
            fault.effect is Effect.HANG and fault.concerns(occasion, self._clock.now())
            for fault in self._faults
        )

    def _write(self, faults: tuple[Fault, ...]) -> None:
        with self._registry.writing() as unit:
            unit.replace_faults(faults)
        self._faults = faults
        self.active = bool(faults)
