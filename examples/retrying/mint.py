"""Session tokens whose bytes an HSM has drawn, by way of a custom key store of AWS KMS.

A key store fails in ways of its own, and they want different answers. While its cluster cannot be reached, or
KMS is asked too often, the next attempt may succeed. A key store that is disconnected must be connected, and
one that is connecting be waited for. One whose connection has FAILED needs somebody to look at it, unless
only the network was at fault.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from botocore.exceptions import ClientError

PASSING: Final = {"KMSInternalException", "ThrottlingException", "DependencyTimeoutException"}
CURABLE: Final = {"NETWORK_ERRORS", "INTERNAL_ERROR"}


class Unavailable(Exception):
    """There is no token to be had; the text says why."""


class Mint:
    """Makes tokens from a key store."""

    def __init__(
        self,
        kms: Any,
        key_store: str,
        *,
        attempts: int = 5,
        pause: float = 1.0,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Take a boto3 client, a CustomKeyStoreId, and how to wait: `pause` seconds, then twice as long."""
        self._kms = kms
        self._key_store = key_store
        self._attempts = attempts
        self._pause = pause
        self._sleep = sleep

    def token(self) -> str:
        """Return a token of 64 hexadecimal digits.

        Raises:
            Unavailable: the key store gives none, and waiting has not helped or would not help.

        """
        why = ""
        for attempt in range(self._attempts):
            if attempt:
                self._sleep(self._pause * 2 ** (attempt - 1))
            try:
                return self._drawn().hex()
            except ClientError as error:
                why = error.response["Error"]["Code"]
                if why == "CustomKeyStoreInvalidStateException":
                    why = self._bring_back()
                elif why not in PASSING:
                    raise
        raise Unavailable(f"no token after {self._attempts} attempts: {why}")

    def _drawn(self) -> bytes:
        answer = self._kms.generate_random(NumberOfBytes=32, CustomKeyStoreId=self._key_store)
        drawn: bytes = answer["Plaintext"]
        return drawn

    def _bring_back(self) -> str:
        """Do what brings the key store nearer to CONNECTED; return the state that it was in."""
        (store,) = self._kms.describe_custom_key_stores(CustomKeyStoreId=self._key_store)["CustomKeyStores"]
        state: str = store["ConnectionState"]
        if state == "FAILED":
            code = store["ConnectionErrorCode"]
            if code not in CURABLE:
                raise Unavailable(f"the key store cannot connect: {code}")
            self._kms.disconnect_custom_key_store(CustomKeyStoreId=self._key_store)
        elif state == "DISCONNECTED":
            self._kms.connect_custom_key_store(CustomKeyStoreId=self._key_store)
        return state
