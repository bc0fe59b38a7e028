"""The benchmark as a program."""
