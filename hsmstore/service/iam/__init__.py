"""Permissions: what a request needs, what is known of it, whether it is allowed, what was needed so far."""
