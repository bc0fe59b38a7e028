"""A reader of `CiphertextForRecipient`, as strict as the strictest client; it shares no code with the writer.

It takes the one shape that KMS has been recorded to send, which is also the one that AWS's C SDK reads.
"""

from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256

_OAEP: Final = bytes.fromhex(
    "303c06092a864886f70d010107302fa00f300d06096086480165030402010500"
    "a11c301a06092a864886f70d010108300d06096086480165030402010500"
)
_ENVELOPED_DATA: Final = bytes.fromhex("06092a864886f70d010703")
_DATA: Final = bytes.fromhex("06092a864886f70d010701")
_AES_256_CBC: Final = bytes.fromhex("301d060960864801650304012a0410")
_VERSION_2: Final = bytes.fromhex("020102")
_END: Final = b"\0\0"


class Envelope(NamedTuple):
    """What the envelope holds; `segments` are the lengths of the content's parts."""

    key_id: bytes
    wrapped_key: bytes
    iv: bytes
    content: bytes
    segments: list[int]

    def opened(self, key: rsa.RSAPrivateKey) -> bytes:
        """Return the plaintext."""
        oaep = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
        decryptor = Cipher(
            algorithms.AES(key.decrypt(self.wrapped_key, oaep)), modes.CBC(self.iv)
        ).decryptor()
        padded = decryptor.update(self.content) + decryptor.finalize()
        length = padded[-1]
        assert 1 <= length <= 16
        assert padded.endswith(bytes([length]) * length)
        return padded[:-length]


class _Bytes:
    def __init__(self, content: bytes) -> None:
        self.rest = content

    def expect(self, *expected: bytes) -> None:
        for piece in expected:
            assert self.rest.startswith(piece), (self.rest[:24].hex(), piece.hex())
            self.rest = self.rest[len(piece) :]

    def take(self, length: int) -> bytes:
        taken, self.rest = self.rest[:length], self.rest[length:]
        assert len(taken) == length
        return taken

    def definite(self, tag: int) -> "_Bytes":
        """Take a value whose length is in the fewest octets."""
        self.expect(bytes([tag]))
        length = self.take(1)[0]
        assert length != 0x80
        if length > 0x80:
            octets = self.take(length - 0x80)
            length = int.from_bytes(octets, "big")
            assert length > 0x7F
            assert octets[0] != 0
        return _Bytes(self.take(length))


def read_envelope(blob: bytes) -> Envelope:
    """Return the envelope; anything but KMS's own shape fails an assertion."""
    reader = _Bytes(blob)
    reader.expect(b"\x30\x80", _ENVELOPED_DATA, b"\xa0\x80", b"\x30\x80", _VERSION_2)
    recipients = reader.definite(0x31)
    recipient = recipients.definite(0x30)
    assert not recipients.rest
    recipient.expect(_VERSION_2)
    key_id = recipient.definite(0x80).rest
    recipient.expect(_OAEP)
    wrapped = recipient.definite(0x04).rest
    assert not recipient.rest
    reader.expect(b"\x30\x80", _DATA, _AES_256_CBC)
    iv = reader.take(16)
    reader.expect(b"\xa0\x80")
    parts: list[bytes] = []
    while not reader.rest.startswith(_END):
        parts.append(reader.definite(0x04).rest)
    reader.expect(_END, *[_END] * 4)
    assert not reader.rest
    return Envelope(key_id, wrapped, iv, b"".join(parts), [len(part) for part in parts])
