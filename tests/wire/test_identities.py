"""Whom a request says that it is from: what is kept of the last header must never stand for another."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hsmstore.domain.identifiers import Scope
from hsmstore.domain.principal import NOBODY, Caller, Credential, Principal, PrincipalType
from hsmstore.wire.auth import Identification, Identity
from hsmstore.wire.http import Request

HOME = Scope("000000000000", "us-east-1")
KEYS = ("AKIAAAAA", "AKIAAAAAA", "111111111111", "AKIABBBB")
REGIONS = ("us-east-1", "us-east-11")


class Changing:
    """Principals of whom a test makes others."""

    def __init__(self) -> None:
        self.credentials: Mapping[str, Credential] = MappingProxyType({})

    def know(self, key_id: str) -> None:
        """Know whose this key is, and nobody else's."""
        principal = Principal(name=f"of {key_id}", type=PrincipalType.USER, account="222222222222")
        caller = Caller(key_id, principal)
        self.credentials = {key_id: Credential(access_key_id=key_id, secret_access_key="s", caller=caller)}

    def look(self) -> None:
        """Find nothing that is not known already."""


class Signed(NamedTuple):
    """What a client says of itself, and what may stand behind it."""

    key_id: str
    region: str
    rest: str = ", SignedHeaders=host"

    @property
    def header(self) -> str:
        """The header Authorization."""
        return f"AWS4-HMAC-SHA256 Credential={self.key_id}/20261129/{self.region}/kms/aws4_request{self.rest}"

    def identity(self, known: Mapping[str, Credential]) -> Identity:
        """Return whom it is to be read as."""
        caller = known[self.key_id].caller if self.key_id in known else Caller(self.key_id)
        account = self.key_id if self.key_id.isdigit() else HOME.account
        return Identity(Scope(caller.account or account, self.region), caller)


def request(said: Signed | str | None) -> Request:
    """Return a request with the header, or with none."""
    header = said.header if isinstance(said, Signed) else said
    return Request(b"POST", b"/", {} if header is None else {b"authorization": header.encode()}, b"")


NOT_SIGNED = (None, "", "Bearer x", ",", "AWS4-HMAC-SHA256 ")
RESTS = ("", ", SignedHeaders=host", "/more", ", Credential=AKIABBBB/20261129/eu-west-2/kms/aws4_request")
signed = st.builds(Signed, st.sampled_from(KEYS), st.sampled_from(REGIONS), st.sampled_from(RESTS))
turns = st.lists(
    st.tuples(st.sampled_from(["", "", *KEYS[:2]]), signed | st.sampled_from(NOT_SIGNED)), max_size=12
)


@pytest.mark.simulator_only(reason="AWS verifies each request; what is kept of one is ours.")
@example([("", Signed(KEYS[0], REGIONS[0])), ("", Signed(KEYS[0], REGIONS[1]))])
@example([("", Signed(KEYS[0], REGIONS[0])), (KEYS[0], Signed(KEYS[0], REGIONS[0]))])
@given(turns)
def test_what_is_kept_is_of_no_other(turns: list[tuple[str, Signed | str | None]]) -> None:
    """Whatever came before, a header is read as it stands, by the principals as they are now."""
    principals = Changing()
    identification = Identification(HOME, principals=principals)
    for newly_known, said in turns:
        if newly_known:
            principals.know(newly_known)
        is_from = Identity(HOME, NOBODY)
        if isinstance(said, Signed):
            is_from = said.identity(principals.credentials)
        assert identification.of(request(said)) == is_from
