"""Attestation documents of AWS Nitro, verified and made; and answers that only their key opens."""
