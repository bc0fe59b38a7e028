"""A real server under load, stopped under load, and started where it cannot serve."""
