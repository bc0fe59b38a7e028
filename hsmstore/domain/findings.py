"""What `doctor` finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. `mend` says what to do about it, and is None where nothing is wrong."""

    subject: str
    detail: str
    mend: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.mend is None
