"""From a view to HTML: the templates, and how they word times and numbers.

Whatever comes from a user is escaped by the templates' engine; nothing is marked as safe.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hsmstore.console.acts import ACTS, KmsAct
from hsmstore.console.pages import BELOW
from hsmstore.service.overview import stores_of

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE: Final = Path(__file__).resolve().parent

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))

NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "created": "Created",
        "updated": "Updated",
        "connect": "ConnectCustomKeyStore",
        "connect_succeeded": "Connected",
        "connect_failed": "Connect failed",
        "disconnect": "DisconnectCustomKeyStore",
        "disconnect_completed": "Disconnected",
    }
)
"""The events of a key store's history, as a person says them."""


def open_templates() -> "Environment":
    """Return the templates, which are read when they are first needed."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415  # spares a start 30 ms

    templates = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters |= {
        "utc": utc,
        "iso": iso,
        "clock": hands,
        "span": span,
        "event": event,
        "epoch": epoch,
        "pretty": pretty,
        "about": about,
        "alone": alone,
    }
    templates.globals["action"] = action
    return templates


def assets() -> dict[str, bytes]:
    """Return what pages load, by name."""
    return {path.name: path.read_bytes() for path in sorted((_HERE / "static").iterdir())}


def utc(at: float) -> str:
    """Return seconds since the epoch as a person reads them."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def hands(at: float) -> str:
    """Return the time of day alone."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


def iso(at: float) -> str:
    """Return seconds since the epoch for a machine."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def span(seconds: float) -> str:
    """Return a length of time in its two largest units."""
    left, parts = int(abs(seconds)), list[str]()
    for size, unit in _UNITS:
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def event(name: str) -> str:
    """Return what an event of a key store's history is called."""
    return NAMES.get(name, name)


def epoch(text: str) -> float:
    """Return a time of the trail in seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


def pretty(record: Mapping[str, Any]) -> str:
    """Return a record for reading."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2).decode()


def about(record: dict[str, Any]) -> list[str]:
    """Name what a record is about: its key stores, or its keys."""
    keys = [str(resource["ARN"]).rpartition("/")[2] for resource in record.get("resources") or ()]
    return sorted(stores_of(record)) or keys[:1]


def alone(records: Iterable[dict[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    """Return each record as a row of its own."""
    return [(record, 1) for record in records]


def action(name: str) -> str:
    """Return where a form of an act is sent."""
    return f"{BELOW}/{'kms' if isinstance(ACTS[name], KmsAct) else 'manage'}/{name}"


class Told:
    """Which forms of a page have said why they were refused."""

    def __init__(self) -> None:
        """Begin with none."""
        self.forms: list[str] = []

    def note(self, form: str) -> str:
        """Take note of one; nothing is written."""
        self.forms.append(form)
        return ""


def render(templates: "Environment", template: str, context: Mapping[str, Any]) -> str:
    """Return a page."""
    return templates.get_template(template).render(context, told=Told())
