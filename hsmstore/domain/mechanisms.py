"""What PKCS#11 mechanisms KMS keys take of their cluster, and what is said of one that lacks them."""

from collections.abc import Collection
from typing import Final

AES_KEY_GEN: Final = "CKM_AES_KEY_GEN"
AES_GCM: Final = "CKM_AES_GCM"

FOR_KEYS: Final = (AES_KEY_GEN, AES_GCM)
"""What a symmetric KMS key of a CloudHSM key store takes: AES-256 made in the HSM, used with GCM."""


def lacking_for_keys(mechanisms: Collection[str]) -> str | None:
    """Say what a module that offers `mechanisms` cannot do; None where it offers all that keys take."""
    lacking = [name for name in FOR_KEYS if name not in mechanisms]
    return f"no {' and no '.join(lacking)} through this module: keys cannot be used" if lacking else None
