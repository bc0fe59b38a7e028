"""The log: how what the rooms say through `logging` is written. structlog is imported nowhere else."""
