"""HTTPS: as boto3 and the command line see it, with certificates of clients, and read again on SIGHUP."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hsmstore.bootstrap.door import require_safe
from hsmstore.bootstrap.principals import add_principal
from hsmstore.domain.principal import PrincipalType
from hsmstore.settings import BadSetting, load
from hsmstore.system.clock import real_time
from hsmstore.system.servercertificate import AUTHORITY, server_certificate
from tests.server import Server
from tests.wire.policed import policy, random_if
from tests.wire.raw import cut

pytestmark = [pytest.mark.simulator_only, pytest.mark.sqlite]

HERE = ["localhost", "127.0.0.1"]


class TlsServer(Server):
    """A server that speaks HTTPS; `manage` and the like of its base speak HTTP, and meet nobody."""

    @property
    def endpoint(self) -> str:
        """The URL, by name."""
        return f"https://localhost:{self.port}"

    @property
    def authority(self) -> Path:
        """What its clients trust, where it has made its certificate itself."""
        return self.data_dir / "tls" / AUTHORITY

    def _serves(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=60).close()
        except ConnectionRefusedError:
            return False
        return True

    def boto(self, verify: Path | None, **more: Any) -> Any:
        """Return boto3's client; without a file, it trusts whom everybody does."""
        return boto3.client(
            "kms",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=more.pop("key", "any"),
            aws_secret_access_key=more.pop("secret", "any"),
            verify=True if verify is None else str(verify),
            config=Config(retries={"total_max_attempts": 1}, **more),
        )

    def shown(self) -> str:
        """Return the certificate that it shows by now."""
        return ssl.get_server_certificate(("127.0.0.1", self.port))


@contextmanager
def secure(data_dir: Path, *options: str) -> Iterator[TlsServer]:
    """Serve HTTPS for as long as the context lasts."""
    server = TlsServer(data_dir, "--profile", "instant", *options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """Serve with a certificate that the server makes itself."""
    with secure(tmp_path_factory.mktemp("tls") / "data", "--tls") as server:
        yield server


def test_boto3(server: TlsServer) -> None:
    """boto3 trusts the authority in the data directory, and without it nobody."""
    assert len(server.boto(server.authority).generate_random(NumberOfBytes=8)["Plaintext"]) == 8
    with pytest.raises(BotoCoreError, match="certificate verify failed"):
        server.boto(None).generate_random(NumberOfBytes=8)


def test_the_command_line(server: TlsServer) -> None:
    """It needs no option for a server on this machine, and elsewhere the authority's file."""
    environment = {
        "PATH": os.defpath,
        "HOME": str(server.data_dir),
        "HSMSTORE_DATA_DIR": str(server.data_dir),
        "HSMSTORE_ENDPOINT": server.endpoint,
    }

    def hsmstore(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "hsmstore", *words]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    assert hsmstore("cluster", "list").returncode == 0
    assert hsmstore("random").returncode == 0
    del environment["HSMSTORE_DATA_DIR"]
    refused = hsmstore("random")
    assert refused.returncode == 3
    assert "certificate verify failed" in refused.stderr
    assert hsmstore("--ca-file", str(server.authority), "random").returncode == 0
    environment["AWS_CA_BUNDLE"] = str(server.authority)
    assert hsmstore("random").returncode == 0
    assert hsmstore("--ca-file", "missing.pem", "random").returncode == 2


def test_the_welcome_tells_how_to_trust_it(server: TlsServer) -> None:
    """What it prints can be pasted: the authority stands in it."""
    with secure(server.data_dir.parent / "other", "--tls") as other:
        while "Ctrl-C" not in other.log:
            assert other.ended is None
    assert f"AWS_CA_BUNDLE={other.authority}" in other.log
    assert f'verify="{other.authority}"' in other.log


def test_http_where_https_is_spoken(server: TlsServer) -> None:
    """Who speaks HTTP to it is hung up on."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b"GET /_hsmstore/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP" not in cut(connection)


def test_old_versions_are_refused(server: TlsServer) -> None:
    """TLS 1.1 and older do not get through."""
    context = ssl.create_default_context(cafile=server.authority)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=60) as raw,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(raw, server_hostname="localhost")


def authority(name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return an authority for certificates of clients."""
    key = ec.generate_private_key(ec.SECP256R1())
    extension = x509.BasicConstraints(ca=True, path_length=0)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = certificate(subject, subject, key).add_extension(extension, critical=True)
    return builder.sign(key, hashes.SHA256()), key


def certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    """Return a certificate that is good today, as yet unsigned."""
    now = datetime.now(UTC)  # noqa: TID251 - TLS is about the machine's time
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )


def save_client(directory: Path, name: str) -> tuple[Path, Path]:
    """Write an authority, and a client's certificate of it with its key; return both files."""
    issuer, issuer_key = authority(name)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"client of {name}")])
    client = certificate(subject, issuer.subject, key).sign(issuer_key, hashes.SHA256())
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    files = directory / f"{name}-ca.pem", directory / f"{name}.pem"
    files[0].write_bytes(issuer.public_bytes(pem))
    secret = key.private_bytes(pem, form, serialization.NoEncryption())
    files[1].write_bytes(secret + client.public_bytes(pem))
    return files


def test_certificates_of_clients(tmp_path: Path) -> None:
    """With --tls-client-ca only who shows a certificate of that authority is served."""
    trusted, client = save_client(tmp_path, "ours")
    _, stranger = save_client(tmp_path, "theirs")
    with secure(tmp_path / "data", "--tls", "--tls-client-ca", str(trusted)) as server:
        drawn = server.boto(server.authority, client_cert=str(client)).generate_random(NumberOfBytes=8)
        assert len(drawn["Plaintext"]) == 8
        for shown in ({}, {"client_cert": str(stranger)}):
            with pytest.raises(BotoCoreError):
                server.boto(server.authority, **shown).generate_random(NumberOfBytes=8)
        command = [sys.executable, "-m", "hsmstore", "--ca-file", str(server.authority)]
        command += ["--endpoint", server.endpoint, "--client-cert", str(client), "random"]
        subprocess.run(command, check=True, capture_output=True, timeout=60)


def test_hangup_reads_the_certificate_again(tmp_path: Path) -> None:
    """SIGHUP takes the certificate that is in the file by then; one that is no good changes nothing."""
    source, _ = server_certificate(tmp_path, HERE, real_time())
    with secure(tmp_path / "data", "--tls-cert", str(source)) as server:
        first, one = server.shown(), source.read_bytes()
        assert (
            len(server.boto(tmp_path / "tls" / AUTHORITY).generate_random(NumberOfBytes=8)["Plaintext"]) == 8
        )
        source.write_text("no certificate")
        os.kill(server.pid, signal.SIGHUP)
        while "the certificate stays as it is" not in server.log:
            assert server.ended is None
        assert server.shown() == first
        (tmp_path / "new").mkdir()
        second, _ = server_certificate(tmp_path / "new", HERE, real_time())
        other = second.read_bytes()
        source.write_bytes(other)
        os.kill(server.pid, signal.SIGHUP)
        while server.shown() == first:  # and no handshake fails meanwhile
            assert server.ended is None
        for content in (one, other) * 5:
            source.write_bytes(content)
            os.kill(server.pid, signal.SIGHUP)
            assert [server.shown() for _ in range(5)]
        while server.shown() == first:
            assert server.ended is None
        renewed = server.boto(tmp_path / "new" / "tls" / AUTHORITY)
        assert len(renewed.generate_random(NumberOfBytes=8)["Plaintext"]) == 8


def test_secure_transport_in_policies(tmp_path: Path) -> None:
    """`aws:SecureTransport` is true over HTTPS, and false over HTTP."""
    file = tmp_path / "principals.json"
    only_secure = policy(random_if("Bool", "aws:SecureTransport", "true"))
    added = add_principal(
        file, "alice", account="111122223333", kind=PrincipalType.USER, tags={}, policy=only_secure
    )
    known = {"key": added["AccessKeyId"], "secret": added["SecretAccessKey"]}
    asking = ("--principals", str(file), "--iam", "enforce")
    with secure(tmp_path / "data", "--tls", *asking) as server:
        assert server.boto(server.authority, **known).generate_random(NumberOfBytes=8)["Plaintext"]
    plain = Server(tmp_path / "plain", *asking)
    plain.start()
    try:
        client = boto3.client(
            "kms",
            endpoint_url=plain.endpoint,
            region_name="us-east-1",
            aws_access_key_id=known["key"],
            aws_secret_access_key=known["secret"],
        )
        with pytest.raises(ClientError, match="AccessDeniedException"):
            client.generate_random(NumberOfBytes=8)
    finally:
        plain.stop()


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (["--tls-cert", "missing.pem"], 4, "cannot be used: No such file"),
        (["--tls", "--tls-client-ca", "missing.pem"], 4, "cannot be used: No such file"),
        (["--host", "192.0.2.1"], 2, "add --auth verify --principals FILE, or --allow-unsigned"),
    ],
)
def test_what_does_not_start(tmp_path: Path, options: list[str], code: int, text: str) -> None:
    """With files that are no good, and where it would let in whoever comes; the last line says what to do."""
    command = [sys.executable, "-m", "hsmstore", "serve", "--data-dir", str(tmp_path / "data"), *options]
    command += ["--port", str(Server(tmp_path).port)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert text in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("given", "mend"),
    [
        ({"tls_key": "server.key"}, "add --tls, or --tls-cert FILE"),
        ({"tls": "true", "tls_key": "server.key"}, "add --tls-cert FILE"),
        ({"tls_client_ca": "ca.pem"}, "add --tls, or --tls-cert FILE"),
        ({"host": "0.0.0.0"}, "add --auth verify --principals FILE, or --allow-unsigned if"),  # noqa: S104 - refused
        ({"host": "::", "auth": "off", "tls": "true"}, "add --auth verify"),
        ({"host": "192.0.2.1", "allow_plain_http": "true"}, "add --auth verify"),
        ({"host": "192.0.2.1", "auth": "verify"}, "add --tls, or --allow-plain-http if"),
        ({"host": "some.name", "allow_unsigned": "true"}, "add --tls, or --allow-plain-http if"),
    ],
)
def test_settings_that_let_in_too_much(given: dict[str, str], mend: str) -> None:
    """Listening beyond this machine takes signatures and TLS, or to say that they are not wanted."""
    with pytest.raises(BadSetting, match=re.escape(mend)):
        require_safe(load(given, {}).settings)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"host": "localhost"},
        {"host": "::1", "auth": "off"},
        {"host": "127.1.2.3"},
        {"host": "192.0.2.1", "auth": "verify", "tls": "true"},
        {
            "host": "192.0.2.1",
            "auth": "verify",
            "tls_cert": "c.pem",
            "tls_key": "k.pem",
            "tls_client_ca": "a.pem",
        },
        {"host": "192.0.2.1", "allow_unsigned": "true", "allow_plain_http": "true"},
        {"host": "192.0.2.1", "auth": "verify", "allow_plain_http": "true"},
    ],
)
def test_settings_that_are_meant(given: dict[str, str]) -> None:
    """On this machine nothing is asked; beyond it, what was said counts."""
    require_safe(load(given, {}).settings)
