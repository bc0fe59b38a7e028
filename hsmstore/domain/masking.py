"""Passwords in URLs, as they are shown."""

import re


def mask(url: str) -> str:
    """Return `url` with its passwords as `***`: before the (last) @, and in the query."""
    without_user_password = re.sub(r"((?:^(?!\w[\w+]*://)|://)[^:/]*):.*@", r"\1:***@", url)
    return re.sub(r"(?i)([?&][^=&]*password=)[^&]*", r"\1***", without_user_password)
