"""A real server killed with SIGKILL, at every named instant and at any other, and started again."""
