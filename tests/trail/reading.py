"""Reading a trail: every line is a record by the published schema, and nothing else is."""

import json
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator

Record = dict[str, Any]

SCHEMA: Final = json.loads((Path(__file__).parents[2] / "docs" / "trail.schema.json").read_bytes())
_VALIDATOR: Final = Draft202012Validator(SCHEMA)


def records(data: bytes) -> list[Record]:
    """Read the lines of a trail's file.

    Raises:
        ValidationError: a line is no record.

    """
    found = [json.loads(line) for line in data.splitlines()]
    for record in found:
        _VALIDATOR.validate(record)
    return found
