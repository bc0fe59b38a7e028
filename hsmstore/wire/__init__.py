"""The AWS wire: bytes to requests, responses and errors to bytes."""
