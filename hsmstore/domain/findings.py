"""What `doctor` finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. `mend` says what to do about it, and is None where nothing is wrong.

    What only `warns` keeps nothing from running: it may be meant.
    """

    subject: str
    detail: str
    mend: str | None = None
    warns: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.mend is None or self.warns
