"""The HSMs over PKCS#11. The only door to python-pkcs11."""

from hsmstore.hsm.pkcs11_hsm import Pkcs11Hsm

__all__ = ["Pkcs11Hsm"]
