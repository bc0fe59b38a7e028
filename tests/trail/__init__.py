"""The trail: its files and its thread."""
