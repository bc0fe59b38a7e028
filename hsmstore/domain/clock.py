"""The clock of the simulation: the real one, set forward, slowed, hurried or stopped.

It never goes back: it is anchored to a real moment, and each change anchors it anew where it stands.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClockSetting:
    """At the real time `real` the clock shows `shown`, and from there runs `rate` seconds a second."""

    real: float
    shown: float
    rate: float = 1.0

    def at(self, real: float) -> float:
        """Return what the clock shows at the real time `real`; both in seconds since the epoch."""
        passed = real - self.real
        return self.shown + passed * self.rate if passed > 0 else self.shown

    def advanced(self, real: float, seconds: float) -> "ClockSetting":
        """Return the clock set forward by `seconds`, running as before."""
        return ClockSetting(real, self.at(real) + seconds, self.rate)

    def running(self, real: float, rate: float) -> "ClockSetting":
        """Return the clock running at another rate from now on; 0 stops it."""
        return ClockSetting(real, self.at(real), rate)
