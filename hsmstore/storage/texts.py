"""Texts as clients send them: any Unicode, NUL included, which AWS allows in names and PostgreSQL in no text.

There NUL is written as an escape, which the search for a text goes through as well; texts without NUL and
without the escape's own character, which nobody types, are stored as they are.
"""

from typing import Any, Final

import sqlalchemy
from sqlalchemy import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

_ESCAPE: Final = "\x1a"  # SUBSTITUTE; always followed by one of these
_ITSELF: Final = _ESCAPE + "="
_NUL: Final = _ESCAPE + "0"


class _Escaped(TypeDecorator[str]):
    impl: TypeEngine[Any] | type[TypeEngine[Any]] = sqlalchemy.String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return what PostgreSQL keeps."""
        del dialect
        if value is None or not ("\0" in value or _ESCAPE in value):
            return value
        return value.replace(_ESCAPE, _ITSELF).replace("\0", _NUL)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Return what was written."""
        del dialect
        if value is None or _ESCAPE not in value:
            return value
        return value.replace(_NUL, "\0").replace(_ITSELF, _ESCAPE)


class _EscapedText(_Escaped):
    impl = sqlalchemy.Text


# Named as SQLAlchemy's own, so that a table is written, and read, as everybody writes one.
String: Final = sqlalchemy.String().with_variant(_Escaped(), "postgresql")
Text: Final = sqlalchemy.Text().with_variant(_EscapedText(), "postgresql")
