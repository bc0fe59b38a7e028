"""The wire as a client meets it. Each test says how we know."""
