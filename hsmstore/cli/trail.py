"""`hsmstore trail`: what was called, by whom, and how it ended."""

import json
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer

from hsmstore.cli import screen
from hsmstore.cli.ids import STORES
from hsmstore.cli.options import AsJson, takes_settings
from hsmstore.settings import BadSetting, Loaded
from hsmstore.trail.files import trail_files, whole_lines

app: Final = typer.Typer(help="Read the records that a server keeps of calls.")

LOOK_AGAIN: Final = 0.2  # seconds between two looks at a file that is followed
_HEADINGS: Final = ("TIME", "EVENT", "PRINCIPAL", "STORE OR KEY", "ERROR")

Record = dict[str, Any]


class Sought(NamedTuple):
    """What records are looked for; None: no matter. Times are as in a record, and so in order as texts."""

    event: str | None = None
    error: str | None = None
    store: str | None = None
    principal: str | None = None
    since: str = ""
    until: str = "9"

    def fits(self, record: Record) -> bool:
        """Tell whether it is one of these."""
        return (
            self.since <= str(record["eventTime"]) < self.until
            and self.event in {None, record["eventName"]}
            and self.error in {None, record.get("errorCode")}
            and (self.store is None or self.store in _stores(record))
            and (self.principal is None or _is_by(record["userIdentity"], self.principal))
        )


@app.command("tail")
@takes_settings("data_dir")
def tail(
    *,
    loaded: Loaded,
    count: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many of the last records.")] = 20,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with new ones until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document a line.")] = False,
) -> None:
    """Show the last records, and with --follow each new one."""
    directory = loaded.settings.data_dir / "trail"
    reader = Reader(directory)
    found = list(reader.new())
    last = found[max(0, len(found) - count) :]
    if not as_json:
        screen.table(_HEADINGS, map(_row, last))
    else:
        _print_lines(last)
    while follow:
        threading.Event().wait(LOOK_AGAIN)
        found = list(reader.new())
        if as_json:
            _print_lines(found)
        else:
            for record in found:
                screen.line("  ".join(part or "-" for part in _row(record)))


@app.command("search")
@takes_settings("data_dir")
def search(
    *,
    loaded: Loaded,
    event: Annotated[str | None, typer.Option(metavar="NAME", help="Of this operation.")] = None,
    error: Annotated[str | None, typer.Option(metavar="CODE", help="Refused with this code.")] = None,
    store: Annotated[
        str | None, typer.Option(metavar="STORE", help="About this key store's id.", autocompletion=STORES)
    ] = None,
    principal: Annotated[
        str | None, typer.Option(metavar="NAME", help="By this ARN, user name, account or access key id.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="From this time on: 2026-01-31T12:00:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Before this time.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find records by what they tell; all that is given must fit."""
    sought = Sought(
        event, error, store, principal, _time("--since", since) or "", _time("--until", until) or "9"
    )
    found = [record for record in Reader(loaded.settings.data_dir / "trail").new() if sought.fits(record)]
    if as_json:
        screen.document({"Records": found})
    else:
        screen.table(_HEADINGS, map(_row, found))


class Reader:
    """Reads the files of a trail on from where it was."""

    def __init__(self, directory: Path) -> None:
        """Begin at the beginning."""
        self._directory = directory
        self._places: dict[Path, int] = {}

    def new(self) -> Iterator[Record]:
        """Yield what has come since the last time."""
        for path in trail_files(self._directory):
            for line in whole_lines(path, self._places.get(path, 0)):
                self._places[path] = self._places.get(path, 0) + len(line)
                yield json.loads(line)


def _print_lines(records: Sequence[Record]) -> None:
    for record in records:
        screen.line(json.dumps(record, ensure_ascii=False))


def _row(record: Record) -> list[str]:
    identity = record["userIdentity"]
    who = identity.get("arn") or identity.get("accountId") or identity.get("invokedBy", "")
    resources = [resource["ARN"] for resource in record.get("resources", [])]
    about = ", ".join(sorted(_stores(record)) or resources[:1])
    texts = (record["eventTime"], record["eventName"], who, about, record.get("errorCode", ""))
    return [screen.printable(str(text)) for text in texts]


def _stores(record: Record) -> set[str]:
    """Return the ids of the key stores that a record names."""
    places = [
        record.get(name) or {} for name in ("requestParameters", "responseElements", "additionalEventData")
    ]
    places += [place["keyMetadata"] for place in places if "keyMetadata" in place]
    return {str(place["customKeyStoreId"]) for place in places if place.get("customKeyStoreId")}


def _is_by(identity: Record, principal: str) -> bool:
    return principal in {identity.get(name) for name in ("arn", "userName", "accountId", "accessKeyId")}


def _time(option: str, text: str | None) -> str | None:
    """Return a time as records have it.

    Raises:
        BadSetting: it is none.

    """
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadSetting(f"{option}: {text!r} is not a time such as 2026-01-31T12:00:00Z") from error
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
