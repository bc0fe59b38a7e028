"""One handler for everything that is logged: to standard error, as lines for people or as JSON.

The rooms say what they have to say through Python's `logging`. structlog makes it an event here, with the
call that is being served, and renders it. A traceback never shows the values of variables: some are secret.
"""

import json
import logging
import sys
from collections.abc import MutableMapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from structlog.typing import Processor

from hsmstore.domain.logformat import LogFormat
from hsmstore.domain.serving import SERVING

Event = MutableMapping[str, Any]

TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


def log_to_stderr(level: str, log_format: LogFormat, *, colors: bool) -> None:
    """Write the log to standard error, from this severity on."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Rendering(log_format, colors=colors))
    logging.basicConfig(level=level.upper(), handlers=[handler])


class Rendering(logging.Formatter):
    """Renders a record as structlog does. The library, a tenth of a second, is loaded by the first record."""

    def __init__(self, log_format: LogFormat, *, colors: bool) -> None:
        """Take how to render; colours are for people at a terminal."""
        super().__init__()
        self._format = log_format
        self._colors = colors

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line; in JSON it is one line, whatever is in it."""
        return self._formatter.format(record)

    @cached_property
    def _formatter(self) -> logging.Formatter:
        import structlog  # noqa: PLC0415  # see above

        renderers: list[Processor] = [structlog.processors.format_exc_info, _json]
        if self._format is LogFormat.PRETTY:
            plain = structlog.dev.plain_traceback
            renderers = [structlog.dev.ConsoleRenderer(colors=self._colors, exception_formatter=plain)]
        return structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.processors.TimeStamper(TIME, utc=True),
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                _add_call,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )


def _add_call(_logger: object, _method: str, event: Event) -> Event:
    """Say which call is being served, as far as that is known."""
    serving = SERVING.get()
    if serving is not None:
        event.update((name, value) for name, value in serving._asdict().items() if value)
    return event


def _json(_logger: object, _method: str, event: Event) -> str:
    order = ("timestamp", "level", "logger", "event")
    return json.dumps({name: event.pop(name) for name in order} | dict(event), default=str)
