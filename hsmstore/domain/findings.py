"""What `doctor` finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; where `ok` is False, `mend` says what to do about it."""

    subject: str
    ok: bool
    detail: str
    mend: str | None = None
