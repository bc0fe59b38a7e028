"""The whole API against a model of it that is small enough to be obviously right."""
