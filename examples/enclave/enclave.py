"""What a program in a Nitro enclave does to draw random bytes that nobody else sees.

Needs boto3, cryptography, and openssl; and a simulator that trusts the root of `--pki`:

    hsmstore attest init pki
    hsmstore serve --attestation-root pki/root.pem
    python enclave.py --pki pki
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import boto3
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

IMAGE = "ab" * 48  # what the build of an enclave's image prints as PCR0


def attestation_document(public_key: bytes, pki: Path, endpoint: str, place: Path) -> bytes:
    """Return a document for the key. In an enclave this is one call to the Nitro Secure Module, /dev/nsm.

    It is valid by the simulator's clock, which may have been set.
    """
    (place / "public.der").write_bytes(public_key)
    command = [
        sys.executable,
        "-m",
        "hsmstore",
        "--endpoint",
        endpoint,
        "attest",
        "mint",
        "--at",
        "simulator",
    ]
    command += ["--pki", str(pki), "--pcr", f"0={IMAGE}"]
    command += ["--public-key", str(place / "public.der"), "--out", str(place / "document")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (place / "document").read_bytes()


def draw(kms: Any, document: bytes, count: int, store: str | None) -> bytes:
    """Return `count` random bytes as KMS sends them: sealed for the key in the document."""
    answer = kms.generate_random(
        NumberOfBytes=count,
        Recipient={"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": document},
        **({"CustomKeyStoreId": store} if store else {}),
    )
    if "Plaintext" in answer:
        raise SystemExit("the answer holds the plaintext: what answered does not know recipients")
    sealed: bytes = answer["CiphertextForRecipient"]
    return sealed


def opened_by_openssl(sealed: bytes, key: rsa.RSAPrivateKey, place: Path) -> bytes:
    """Return the plaintext, as `openssl cms -decrypt` has it."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (place / "key.pem").write_bytes(pem)
    command = ["openssl", "cms", "-decrypt", "-inform", "DER", "-binary", "-inkey", str(place / "key.pem")]
    return subprocess.run(command, input=sealed, check=True, capture_output=True).stdout


def opened_by_hand(sealed: bytes, key: rsa.RSAPrivateKey) -> bytes:
    """Return the plaintext. KMS's envelope always has the same layout, so its parts are at known places."""
    size = key.key_size // 8
    wrapped_at = sealed.index(b"\x04\x82" + size.to_bytes(2, "big")) + 4
    content_key = key.decrypt(
        sealed[wrapped_at : wrapped_at + size],
        rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA256()), hashes.SHA256(), None),
    )
    aes_256_cbc = bytes.fromhex("060960864801650304012a0410")
    iv_at = sealed.index(aes_256_cbc, wrapped_at + size) + len(aes_256_cbc)
    decryptor = Cipher(algorithms.AES(content_key), modes.CBC(sealed[iv_at : iv_at + 16])).decryptor()
    unpad = padding.PKCS7(128).unpadder()
    return (
        unpad.update(decryptor.update(_content(sealed[iv_at + 18 :])) + decryptor.finalize())
        + unpad.finalize()
    )


def _content(rest: bytes) -> bytes:
    """Join the segments of the content: octet strings of at most 1,000 bytes, until one that is no such."""
    content = b""
    while rest[0] == 0x04:
        head = 2 + max(0, rest[1] - 0x80)
        length = int.from_bytes(rest[2:head], "big") if head > 2 else rest[1]
        content += rest[head : head + length]
        rest = rest[head + length :]
    return content


def main() -> None:
    """Draw, open twice, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pki", type=Path, required=True, help="what `hsmstore attest init` made")
    parser.add_argument("--endpoint", default="http://127.0.0.1:4599")
    parser.add_argument("--store", help="the key store to draw from; none: the system")
    parser.add_argument("--bytes", type=int, default=32)
    arguments = parser.parse_args()
    kms = boto3.client(
        "kms",
        endpoint_url=arguments.endpoint,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",  # noqa: S106 - the simulator takes any
    )
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public_key = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        document = attestation_document(public_key, arguments.pki, arguments.endpoint, place)
        sealed = draw(kms, document, arguments.bytes, arguments.store)
        plaintext = opened_by_openssl(sealed, key, place)
    if plaintext != opened_by_hand(sealed, key) or len(plaintext) != arguments.bytes:
        raise SystemExit("the two ways to open the answer do not agree")
    print(plaintext.hex())


if __name__ == "__main__":
    main()
