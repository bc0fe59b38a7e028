"""The rules of the house, as tests: style, walls, lock, generated pages."""
