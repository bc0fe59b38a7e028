"""The console: the simulator as pages, under /_hsmstore/."""
