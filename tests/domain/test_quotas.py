"""Token buckets, by a second and slower count."""

from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from hsmstore.domain.identifiers import Scope
from hsmstore.domain.quotas import BUCKETS_MAX, PER_STORE, RATES, SYMMETRIC, Bucket, Quotas, adjusted

HERE = Scope("111122223333", "us-east-1")
TICK = 1 / 64  # seconds; with rates that are powers of two every sum is exact


@given(st.sampled_from([1, 2, 4, 8]), st.lists(st.integers(-8, 64), max_size=80))
@example(1, [0, 63, 1, 64, -8, 8])
def test_a_bucket_counts_as_fractions_do(rate: int, steps: list[int]) -> None:
    """Tokens come back evenly, never more than a second's worth, and not for time that goes back."""
    bucket, tokens, latest, at = Bucket(rate, 0.0), Fraction(rate), 0, 0
    for step in steps:
        at += step
        tokens = min(Fraction(rate), tokens + Fraction(max(0, at - latest) * rate, 64))
        latest = max(latest, at)
        assert bucket.take(at * TICK) is (tokens >= 1)
        if tokens >= 1:
            tokens -= 1


@given(st.integers(1, 50), st.lists(st.floats(0, 10, allow_nan=False), max_size=300))
def test_no_more_than_the_rate_comes_through(rate: int, times: list[float]) -> None:
    """Within any stretch of time at most one second's worth more than its length allows is let through."""
    bucket = Bucket(rate, 0.0)
    admitted = [at for at in sorted(times) if bucket.take(at)]
    for first, begin in enumerate(admitted):
        for last, end in enumerate(admitted[first:], first):
            assert last - first + 1 <= rate + (end - begin) * rate + 1e-6


def test_cryptography_shares_one_quota() -> None:
    """Symmetric operations count together, in each account and Region apart; so do those of one store."""
    quotas = Quotas(adjusted([f"{SYMMETRIC}=3", f"{PER_STORE}=1"]))
    operations = ("Encrypt", "GenerateRandom", "Decrypt", "Encrypt")
    assert [quotas.admit(name, HERE, 0.0) for name in operations] == [True, True, True, False]
    assert quotas.admit("Encrypt", HERE._replace(region="eu-west-1"), 0.0)
    assert quotas.admit("Encrypt", HERE, 1.0)
    assert [quotas.admit_to_store(name, "cks-1", 0.0) for name in operations[:2]] == [True, False]
    assert quotas.admit_to_store("Encrypt", "cks-2", 0.0)
    assert quotas.admit_to_store("DescribeKey", "cks-1", 0.0), "no cryptography"


def test_what_has_no_quota_is_let_through() -> None:
    """An operation that is not in the table is not counted."""
    quotas = Quotas(dict.fromkeys(RATES, 1))
    assert all(quotas.admit("RevokeGrant", HERE, 0.0) for _ in range(10))


def test_buckets_do_not_pile_up() -> None:
    """Whoever speaks for ever more accounts does not fill the memory."""
    quotas = Quotas()
    for number in range(BUCKETS_MAX + 10):
        assert quotas.admit("CreateKey", HERE._replace(account=f"{number:012}"), 0.0)
    assert quotas.admit("CreateKey", HERE, 0.0)
