"""The mint, and a key store that fails in every way that it is made for."""

from typing import Any

import pytest
from mint import Mint, Unavailable

from hsmstore.testing import Simulation


def never(_: float) -> None:
    """Fail the test that would wait."""
    pytest.fail("there was nothing to wait for")


def test_token(kms_client: Any, key_store: str) -> None:
    """A connected key store gives a token at once."""
    assert len(Mint(kms_client, key_store, sleep=never).token()) == 64


def test_short_outage(hsmstore: Simulation, kms_client: Any, key_store: str) -> None:
    """While the cluster cannot be reached, the mint waits, each time twice as long."""
    hsmstore.cluster.cut_network()
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            hsmstore.cluster.restore_network()

    assert Mint(kms_client, key_store, sleep=sleep).token()
    assert waited == [1, 2, 4]


def test_long_outage(hsmstore: Simulation, kms_client: Any, key_store: str) -> None:
    """After some attempts it gives up, and says why."""
    hsmstore.cluster.cut_network()
    with pytest.raises(Unavailable, match="no token after 5 attempts: KMSInternalException"):
        Mint(kms_client, key_store, sleep=lambda _: None).token()


def test_throttled(hsmstore: Simulation, kms_client: Any, key_store: str) -> None:
    """It asks again when KMS was asked too often."""
    hsmstore.fail_next("GenerateRandom", "ThrottlingException", times=2)
    assert Mint(kms_client, key_store, sleep=lambda _: None).token()


@pytest.mark.hsmstore(profile="aws")
def test_disconnected(hsmstore: Simulation, kms_client: Any, key_store: str) -> None:
    """A key store that somebody has disconnected is connected again, and waited for; here in no time."""
    kms_client.disconnect_custom_key_store(CustomKeyStoreId=key_store)
    hsmstore.clock.advance(minutes=20)
    mint = Mint(kms_client, key_store, pause=5 * 60, sleep=hsmstore.clock.advance)
    assert mint.token()


def test_failed_by_the_network(hsmstore: Simulation, kms_client: Any, key_store: str) -> None:
    """A connection that the network has failed is tried again."""
    kms_client.disconnect_custom_key_store(CustomKeyStoreId=key_store)
    hsmstore.fail_next_connect("NETWORK_ERRORS")
    assert Mint(kms_client, key_store, attempts=6, sleep=lambda _: None).token()


def test_locked_out(hsmstore: Simulation, kms_client: Any, key_store: str) -> None:
    """One that fails for another reason is not tried again: that could lock kmsuser out for good."""
    kms_client.disconnect_custom_key_store(CustomKeyStoreId=key_store)
    hsmstore.fail_next_connect("USER_LOCKED_OUT")
    with pytest.raises(Unavailable, match="the key store cannot connect: USER_LOCKED_OUT"):
        Mint(kms_client, key_store, sleep=lambda _: None).token()
