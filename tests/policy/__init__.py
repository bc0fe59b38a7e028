"""Policies: the pure part. What they do to requests is shown in tests/wire."""
