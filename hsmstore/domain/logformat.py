"""How a log can be written."""

from enum import StrEnum


class LogFormat(StrEnum):
    """The forms of a log."""

    PRETTY = "pretty"
    JSON = "json"
