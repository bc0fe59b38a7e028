"""`hsmstore attest`: what scripts rely on, from a PKI to a verified document."""

import json
import subprocess
from pathlib import Path

import pytest

from hsmstore.attestation.minting import measured
from hsmstore.domain.attestation import Check
from tests.attestation.conftest import RECORDED
from tests.cli.conftest import CommandLine, SameProcess
from tests.server import running

pytestmark = pytest.mark.sqlite  # no registry is met

REAL = str(RECORDED / "real_debug_rsa2048_2024-01-24.bin")
REAL_TIME = "2024-01-24T18:14:25Z"
IMAGE = "ab" * 48
ROLE = "arn:aws:iam::123456789012:role/enclave"


@pytest.fixture
def offline(tmp_path: Path) -> CommandLine:
    """Return the command line; it needs no server."""
    return SameProcess(tmp_path)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """Return the file of a public key in DER, as openssl writes it."""
    for command in ("genrsa -out key.pem 2048", "rsa -in key.pem -pubout -outform DER -out key.der"):
        subprocess.run(["openssl", *command.split()], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path / "key.der"


def mint(offline: CommandLine, *options: str) -> None:
    """Mint `doc` under `pki`, which is made first."""
    assert offline("attest", "init", "pki").code == 0
    minted = offline("attest", "mint", "--pki", "pki", "--out", "doc", *options)
    assert minted.code == 0, minted.err


def test_init(offline: CommandLine, tmp_path: Path) -> None:
    """A PKI is made once, with its root where scripts look for it; a second time it stays as it is."""
    assert offline("attest", "init", "pki").out == "pki/root.pem\n"
    root = (tmp_path / "pki" / "root.pem").read_bytes()
    again = offline("attest", "init", "pki", "--json").json
    assert again["Root"] == "pki/root.pem"
    assert again["New"] is False
    assert (tmp_path / "pki" / "root.pem").read_bytes() == root
    assert offline("attest", "init", "other", "--json").json["Fingerprint"] != again["Fingerprint"]


def test_mint_and_verify(offline: CommandLine, key: Path) -> None:
    """A minted document is good under its root, and says what it was told to."""
    mint(
        offline, "--public-key", str(key), "--pcr", f"0={IMAGE}", "--pcr", f"8={IMAGE}", "--role-arn", ROLE,
        "--instance-id", "i-0123456789abcdef0", "--nonce", "0102", "--user-data", "00",
    )  # fmt: skip
    verified = offline("attest", "verify", "doc", "--root", "pki/root.pem", "--json").json
    assert verified["Verified"] is True
    assert verified["Root"] == "hsmstore.nitro-enclaves"
    assert verified["ModuleId"].startswith("i-0123456789abcdef0-enc")
    keys = {name.rpartition(":")[2]: value for name, value in verified["ConditionKeys"].items()}
    assert keys["ImageSha384"] == keys["PCR0"] == keys["PCR8"] == IMAGE
    assert keys["PCR3"] == measured(ROLE).hex()
    assert keys["PCR4"] == measured("i-0123456789abcdef0").hex()
    shown = offline("attest", "verify", "doc", "--root", "pki/root.pem").out
    assert shown.count("✓") == len(Check)


@pytest.mark.parametrize("form", ["DER", "PEM"])
def test_key_formats(offline: CommandLine, key: Path, tmp_path: Path, form: str) -> None:
    """The public key may be a file in DER or in PEM; in the document it is DER."""
    command = ["openssl", "rsa", "-in", "key.pem", "-pubout", "-outform", form, "-out", "public"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    mint(offline, "--public-key", "public")
    assert offline("attest", "verify", "doc", "--root", "pki/root.pem").code == 0
    assert key.read_bytes() in (tmp_path / "doc").read_bytes()


@pytest.mark.parametrize(
    ("options", "check"),
    [
        ([], "public-key"),
        (["--public-key", "key.der", "--at", "2020-01-01T00:00:00"], "validity"),
        (["--public-key", "doc.txt"], "public-key"),
    ],
)
def test_what_failed(offline: CommandLine, key: Path, options: list[str], check: str) -> None:
    """A document that is not good ends with 1, and the check that failed is named."""
    key.with_name("doc.txt").write_text("no key")
    mint(offline, *options)
    outcome = offline("attest", "verify", "doc", "--root", "pki/root.pem", "--root", "aws")
    assert outcome.code == 1
    assert outcome.err.startswith(f"hsmstore: check {check} failed: ")
    assert [line.split()[1] for line in outcome.out.splitlines() if line.startswith("✗")] == [check]
    as_json = offline("attest", "verify", "doc", "--root", "pki/root.pem", "--json")
    assert as_json.code == 1
    assert json.loads(as_json.out)["Check"] == check


def test_a_real_document(offline: CommandLine) -> None:
    """AWS's own document is good at its time under AWS's root; not now, and not under another."""
    assert offline("attest", "verify", REAL, "--root", "aws", "--at", REAL_TIME).code == 0
    assert "check validity failed" in offline("attest", "verify", REAL, "--root", "aws").err
    assert offline("attest", "init", "pki").code == 0
    other = offline("attest", "verify", REAL, "--root", "pki/root.pem", "--at", REAL_TIME)
    assert (other.code, "check root failed" in other.err) == (1, True)


def test_inspect(offline: CommandLine) -> None:
    """A document is shown as a tree: its fields, its PCRs by meaning, its certificates."""
    shown = offline("attest", "inspect", REAL)
    assert shown.code == 0
    for line in (
        "module_id: i-0e4fe5de7ee5abe78-enc018d3cadd7d66279",
        "timestamp: 1706120065635 (2024-01-24T18:14:25.635+00:00)",
        "pcrs: 16, of an enclave in debug mode: PCR0 to PCR2 are zero",
        "  PCR0 (image): 48 zero bytes",
        "cabundle: 4 certificates",
        "    subject: aws.nitro-enclaves",
    ):
        assert f"{line}\n" in shown.out
    assert "public_key: RSA-2048, SHA-256 " in shown.out
    names = [node["Name"] for node in offline("attest", "inspect", REAL, "--json").json]
    assert names[1:-1] == [
        *("module_id", "digest", "timestamp", "pcrs", "certificate"),
        *("cabundle", "public_key", "user_data", "nonce"),
    ]


def test_inspect_shows_what_is_wrong(offline: CommandLine, tmp_path: Path) -> None:
    """What would be refused is shown as far as it can be read; what is no document is refused."""
    (tmp_path / "key").write_bytes(b"\x1b[2Jno key")
    mint(offline, "--public-key", "key", "--nitrotpm", "--tagged", "--debug")
    shown = offline("attest", "inspect", "doc").out
    assert "nitrotpm_pcrs: 16\n" in shown
    assert "no SubjectPublicKeyInfo" in shown
    assert "\x1b" not in shown
    refused = offline("attest", "inspect", "key")
    assert (refused.code, refused.err.startswith("hsmstore: check encoding failed")) == (1, True)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--pcr", "32=" + IMAGE], "--pcr: '32="),
        (["--pcr", "0=abc"], "--pcr: '0=abc' is not INDEX=HEX"),
        (["--pcr", "0=ab"], "--pcr: '0=ab' is not INDEX=HEX"),
        (["--pcr", IMAGE], "--pcr: "),
        (["--nonce", "x"], "--nonce: 'x' is not hexadecimal"),
        (["--user-data", "0"], "--user-data: '0' is not hexadecimal"),
        (["--at", "noon"], "--at: 'noon' is not a time"),
        (["--public-key", "broken.pem"], "--public-key: broken.pem holds no public key"),
    ],
)
def test_bad_options(offline: CommandLine, tmp_path: Path, options: list[str], text: str) -> None:
    """What cannot be an option's value is wrong usage, in one line."""
    (tmp_path / "broken.pem").write_text("-----BEGIN PUBLIC KEY-----\n")
    assert offline("attest", "init", "pki").code == 0
    outcome = offline("attest", "mint", "--pki", "pki", "--out", "doc", *options)
    assert (outcome.code, outcome.err.startswith(f"hsmstore: {text}")) == (2, True), outcome.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["mint", "--pki", "none", "--out", "doc"],
        ["inspect", "none"],
        ["verify", "none", "--root", "aws"],
        ["verify", "none", "--root", "none.pem"],
    ],
)
def test_missing_files(offline: CommandLine, arguments: list[str]) -> None:
    """A file that is not there ends with 4 and is named."""
    outcome = offline("attest", *arguments)
    assert (outcome.code, "none" in outcome.err) == (4, True)


def test_serve_refuses_a_bad_root(hsmstore: CommandLine, tmp_path: Path) -> None:
    """A server does not start with a root that it cannot trust."""
    (tmp_path / "root.pem").write_text("no certificate")
    outcome = hsmstore("serve", "--data-dir", "data", "--port", "1024", "--attestation-root", "root.pem")
    assert outcome.code == 4
    assert "root.pem cannot be trusted" in outcome.err.splitlines()[-1]


def test_doctor_looks_at_the_roots(hsmstore: CommandLine, tmp_path: Path) -> None:
    """A root that cannot be trusted is found before a server is started with it."""
    (tmp_path / "root.pem").write_text("no certificate")
    roots = ("--attestation-root", "aws", "--attestation-root", "root.pem")
    outcome = hsmstore("doctor", "--data-dir", "data", "--json", *roots)
    findings = {finding["subject"]: finding for finding in json.loads(outcome.out)["Findings"]}
    assert outcome.code == 4
    assert findings["attestation root aws"]["ok"] is True
    assert "cannot be trusted" in findings[f"attestation root {tmp_path / 'root.pem'}"]["detail"]


def test_by_the_simulators_clock(offline: CommandLine, key: Path, tmp_path: Path) -> None:
    """`--at simulator` makes and verifies a document by the clock of the simulation."""
    with running(tmp_path / "data", "--profile", "instant") as server:
        server.manage("POST", "/clock/advance", {"Seconds": 7 * 86_400})
        offline.environment["HSMSTORE_ENDPOINT"] = server.endpoint
        mint(offline, "--public-key", str(key), "--at", "simulator")
        verify = ("attest", "verify", "doc", "--root", "pki/root.pem")
        assert offline(*verify, "--at", "simulator").code == 0
        assert "not valid yet" in offline(*verify).err
