"""Traces, from the call that a client makes to the PKCS#11 call in it."""
