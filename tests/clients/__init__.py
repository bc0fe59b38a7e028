"""Clients that others have made, as their users would run them."""
