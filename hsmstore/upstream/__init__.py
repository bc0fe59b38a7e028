"""The way to another emulator: what is not this simulator's is sent on as it came."""
