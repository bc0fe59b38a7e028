"""The Attestation port of a server that trusts no root, which is the default. It loads no cryptography."""

from hsmstore.domain.attestation import Attested, NothingTrusted


class NoAttestation:
    """Takes no document."""

    def verify(self, _document: bytes, _now: float, /) -> Attested:
        """Refuse.

        Raises:
            NothingTrusted: always.

        """
        raise NothingTrusted

    def seal(self, _public_key: bytes, _plaintext: bytes, /) -> bytes:
        """Refuse; nothing that was verified can lead here.

        Raises:
            NothingTrusted: always.

        """
        raise NothingTrusted
