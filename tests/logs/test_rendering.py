"""What becomes of a record: one event, with the call that is being served."""

import json
import logging
import sys
from contextvars import Context
from typing import Any

import pytest

from hsmstore.domain.logformat import LogFormat
from hsmstore.domain.serving import SERVING, Serving
from hsmstore.logs.handler import Rendering

CANARY = "canary-" + "1234567"


def record(message: str, *arguments: object, level: int = logging.WARNING) -> logging.LogRecord:
    """Make a record, of the exception that is being handled if there is one."""
    exception = sys.exc_info() if sys.exc_info()[0] else None
    return logging.LogRecord("hsmstore.room", level, "file.py", 1, message, arguments, exception)


def rendered(log_format: LogFormat, logged: logging.LogRecord, serving: Serving | None = None) -> str:
    """Render a record in a context of its own."""

    def render() -> str:
        SERVING.set(serving)
        return Rendering(log_format, colors=False).format(logged)

    return Context().run(render)


def as_json(logged: logging.LogRecord, serving: Serving | None = None) -> Any:
    """Render a record as JSON, which must be one line; return the object."""
    line = rendered(LogFormat.JSON, logged, serving)
    assert "\n" not in line
    return json.loads(line)


def test_json() -> None:
    """A record has its time, severity and room, and says what it said."""
    event = as_json(record("%s of %d", "one", 2))
    assert list(event)[:4] == ["timestamp", "level", "logger", "event"]
    assert event.pop("timestamp").endswith("Z")
    assert event == {"level": "warning", "logger": "hsmstore.room", "event": "one of 2"}


@pytest.mark.parametrize("text", ["two\nlines", 'a "quote"', "\u2028", "\ud800", "\x00", "é"])
def test_json_is_one_line_whatever_is_said(text: str) -> None:
    """What would end a line, a string or a reader is escaped."""
    assert as_json(record("%s", text))["event"] == text


def test_the_call_that_is_served() -> None:
    """What is known of the call is said, and nothing of what is not."""
    known = as_json(record("x"), Serving("id", "Encrypt", "123456789012"))
    assert (known["request_id"], known["operation"], known["account"]) == ("id", "Encrypt", "123456789012")
    assert {"operation", "account"}.isdisjoint(as_json(record("x"), Serving("id")))
    assert "request_id=id" in rendered(LogFormat.PRETTY, record("x"), Serving("id"))


@pytest.mark.parametrize("log_format", LogFormat)
def test_an_exception_without_its_variables(log_format: LogFormat) -> None:
    """A traceback is part of its event, and shows no values."""

    def fail(password: str) -> None:
        raise ValueError(len(password))

    try:
        fail(CANARY)
    except ValueError:
        line = rendered(log_format, record("it failed", level=logging.ERROR))
    assert "Traceback" in line
    assert "ValueError: 14" in line
    assert CANARY not in line


def test_pretty() -> None:
    """People get the severity, the text and the room in one line without escapes."""
    line = rendered(LogFormat.PRETTY, record("it is %s", "so"))
    assert "\n" not in line
    assert "\x1b" not in line
    assert "[warning" in line
    assert "it is so" in line
    assert "hsmstore.room" in line
