"""The table from CKR to ConnectionErrorCode."""

import pkcs11
import pytest

from hsmstore.domain.keystore import ConnectionErrorCode
from hsmstore.hsm.ckr import error_code, words


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (pkcs11.PinIncorrect(), ConnectionErrorCode.INVALID_CREDENTIALS),
        (pkcs11.PinLocked(), ConnectionErrorCode.USER_LOCKED_OUT),
        (pkcs11.UserPinNotInitialized(), ConnectionErrorCode.USER_NOT_FOUND),
        (pkcs11.UserAlreadyLoggedIn(), ConnectionErrorCode.USER_LOGGED_IN),
        (pkcs11.TokenNotRecognised(), ConnectionErrorCode.INSUFFICIENT_CLOUDHSM_HSMS),
        (pkcs11.DeviceError(), ConnectionErrorCode.NETWORK_ERRORS),
        (pkcs11.GeneralError(), ConnectionErrorCode.INTERNAL_ERROR),
        (pkcs11.PKCS11Error("Initialisation error"), ConnectionErrorCode.INTERNAL_ERROR),
    ],
)
def test_codes(error: pkcs11.PKCS11Error, code: ConnectionErrorCode) -> None:
    """Each CKR means one code, and an unknown one INTERNAL_ERROR."""
    assert error_code(error) is code


def test_bad_arguments_mean_a_bad_pin_at_login_only() -> None:
    """CKR_ARGUMENTS_BAD is about the PIN's format in C_Login, and about us everywhere else."""
    assert error_code(pkcs11.ArgumentsBad(), at_login=True) is ConnectionErrorCode.INVALID_CREDENTIALS
    assert error_code(pkcs11.ArgumentsBad()) is ConnectionErrorCode.INTERNAL_ERROR


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (pkcs11.PinIncorrect(), "CKR_PIN_INCORRECT"),
        (pkcs11.TokenNotRecognised(), "CKR_TOKEN_NOT_RECOGNIZED"),
        (pkcs11.SessionReadWriteSOExists(), "CKR_SESSION_READ_WRITE_SO_EXISTS"),
        (pkcs11.RandomNoRNG(), "CKR_RANDOM_NO_RNG"),
        (pkcs11.PKCS11Error("Unmapped error code 0x80000001"), "Unmapped error code 0x80000001"),
        (pkcs11.DeviceRemoved("no slots"), "CKR_DEVICE_REMOVED: no slots"),
    ],
)
def test_words(error: pkcs11.PKCS11Error, said: str) -> None:
    """The log has PKCS#11's name for it."""
    assert words(error) == said
