"""What a person types."""

from hsmstore.cli.app import main

__all__ = ["main"]
