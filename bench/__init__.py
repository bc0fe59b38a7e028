"""The benchmark: this program, the same HTTP server with a constant answer, and moto_server, side by side."""
