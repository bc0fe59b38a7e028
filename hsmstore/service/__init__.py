"""Use cases: plain functions from a request and the world to a response."""
