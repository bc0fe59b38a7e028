"""The HSMs over PKCS#11. The only door to python-pkcs11."""
