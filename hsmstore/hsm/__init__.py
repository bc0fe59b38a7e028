"""The HSMs over PKCS#11. The only door to python-pkcs11."""

from hsmstore.hsm.deadline import HsmTimedOut
from hsmstore.hsm.inspection import Finding
from hsmstore.hsm.pkcs11_hsm import Pkcs11Hsm

__all__ = ["Finding", "HsmTimedOut", "Pkcs11Hsm"]
