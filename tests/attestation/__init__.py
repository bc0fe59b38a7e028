"""Attestation documents and the answers for their keys."""
