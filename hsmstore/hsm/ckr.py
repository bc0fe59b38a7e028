"""What a module's return value (CKR) means: for a connect, for a key and its ciphertext, and in the log.

python-pkcs11 makes an exception class of each CKR. The few that it raises as the bare `PKCS11Error`
(CKR_CRYPTOKI_NOT_INITIALIZED, CKR_BUFFER_TOO_SMALL, values that it does not know) differ in their text
only; all of them mean that the module, and not the user or the token, is at fault.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import pkcs11

from hsmstore.domain.keystore import ConnectionErrorCode

CONNECTION_ERROR_CODES: Final[Mapping[type[pkcs11.PKCS11Error], ConnectionErrorCode]] = MappingProxyType(
    {
        pkcs11.PinIncorrect: ConnectionErrorCode.INVALID_CREDENTIALS,
        pkcs11.PinInvalid: ConnectionErrorCode.INVALID_CREDENTIALS,
        pkcs11.PinLenRange: ConnectionErrorCode.INVALID_CREDENTIALS,
        pkcs11.PinExpired: ConnectionErrorCode.INVALID_CREDENTIALS,
        pkcs11.PinLocked: ConnectionErrorCode.USER_LOCKED_OUT,
        pkcs11.UserPinNotInitialized: ConnectionErrorCode.USER_NOT_FOUND,
        pkcs11.UserAlreadyLoggedIn: ConnectionErrorCode.USER_LOGGED_IN,
        pkcs11.AnotherUserAlreadyLoggedIn: ConnectionErrorCode.USER_LOGGED_IN,
        pkcs11.NoSuchToken: ConnectionErrorCode.INSUFFICIENT_CLOUDHSM_HSMS,
        pkcs11.TokenNotPresent: ConnectionErrorCode.INSUFFICIENT_CLOUDHSM_HSMS,
        pkcs11.TokenNotRecognised: ConnectionErrorCode.INSUFFICIENT_CLOUDHSM_HSMS,
        pkcs11.DeviceError: ConnectionErrorCode.NETWORK_ERRORS,
        pkcs11.DeviceRemoved: ConnectionErrorCode.NETWORK_ERRORS,
    }
)
"""Every CKR that is not here (CKR_GENERAL_ERROR, CKR_HOST_MEMORY, …) is an INTERNAL_ERROR."""

AT_LOGIN: Final[Mapping[type[pkcs11.PKCS11Error], ConnectionErrorCode]] = MappingProxyType(
    {pkcs11.ArgumentsBad: ConnectionErrorCode.INVALID_CREDENTIALS}
)
"""What means something else in C_Login: a PIN whose format the module refuses."""

HANDLE_STALE: Final = (pkcs11.ObjectHandleInvalid, pkcs11.KeyHandleInvalid)
"""What a handle means whose object was destroyed, or deleted beside the module."""

CIPHERTEXT_REFUSED: Final = (pkcs11.EncryptedDataInvalid, pkcs11.EncryptedDataLenRange)
"""What C_Decrypt says to a ciphertext that the key did not make."""

AMBIGUOUS_IN_DECRYPT: Final = (pkcs11.GeneralError, pkcs11.FunctionFailed)
"""What it says to the same in SoftHSM2, whose tokens say it to trouble of their own, too."""

_WORD_START: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def error_code(error: pkcs11.PKCS11Error, *, at_login: bool = False) -> ConnectionErrorCode:
    """Return why a connect that met `error` has failed."""
    code = AT_LOGIN.get(type(error)) if at_login else None
    return code or CONNECTION_ERROR_CODES.get(type(error), ConnectionErrorCode.INTERNAL_ERROR)


def words(error: pkcs11.PKCS11Error) -> str:
    """Return the error as PKCS#11 names it, such as `CKR_PIN_INCORRECT`, with the library's text if any."""
    if type(error) is pkcs11.PKCS11Error:
        return str(error)
    return f"{name_of(error)}: {error}" if str(error) else name_of(error)


def name_of(error: pkcs11.PKCS11Error) -> str:
    """Return the error's name alone, such as `CKR_PIN_INCORRECT`; `Other` where only its text could tell."""
    if type(error) is pkcs11.PKCS11Error:
        return "Other"
    name = "CKR_" + _WORD_START.sub("_", type(error).__name__).upper()
    return name.replace("RECOGNISED", "RECOGNIZED")  # python-pkcs11 spells British, PKCS#11 American
