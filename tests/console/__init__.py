"""The console: its forms by plain HTTP, and its pages in a real browser."""
