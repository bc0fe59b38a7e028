"""Cryptography with KMS keys: on the token of the key store's cluster, never in this process."""
