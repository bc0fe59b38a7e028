"""Planted secrets turn up where they must, and nowhere else: file, log, trail, process, traceback."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from hsmstore.bootstrap.principals import add_principal, new_token
from hsmstore.domain.principal import PrincipalType
from hsmstore.simulator import Refused, Simulator
from tests.served import served
from tests.server import Server, external_members, running

pytestmark = [pytest.mark.simulator_only, pytest.mark.sqlite]

PASSWORD: Final = "Canary1KmsuserPassword"
WRONG: Final = "Canary2WrongPassword"
PLAINTEXT: Final = b"Canary3 plaintext of a customer"
XKS_SECRET: Final = "Canary4ProxySecret" + "A" * 25
TOKEN: Final = "canary5-management-token"
UPSTREAM: Final = "Canary6UpstreamPassword"
ACCOUNT: Final = "123412341234"

HELD_BY = {"management.token": TOKEN, "master.key": "the master key"}
"""The files of a data directory that hold a secret in the clear, and which; besides `tls/server.pem`."""


class Planted:
    """A server that has met every secret, in good use and in bad, and has told all that it could of it."""

    def __init__(self, place: Path) -> None:
        self.data_dir = place / "data"
        self.file = place / "principals.json"
        self.data_dir.mkdir(mode=0o700)
        (self.data_dir / "management.token").write_text(TOKEN)
        (self.data_dir / "management.token").chmod(0o600)
        self.alice = self._add("alice", PrincipalType.USER)
        self._add("build", PrincipalType.ROLE)
        self.lent = new_token(self.file, "build", account=ACCOUNT, seconds=3600, session="run-1")
        self.drawn: list[bytes] = []
        self.processes = ""
        config = place / "hsmstore.toml"
        config.write_text(f'upstream = "http://u:{UPSTREAM}@127.0.0.1:1"\ntrust_local = false\n')
        options = ["--profile", "instant", "--auth", "verify", "--principals", str(self.file)]
        options += ["--log-level", "debug", "--config", str(config)]
        self.server = Server(self.data_dir, *options)
        self.server.start()
        try:
            self._live(self.server)
            self.processes = seen_of(self.server.pid)
        finally:
            self.server.stop()

    def _add(self, name: str, kind: PrincipalType) -> dict[str, Any]:
        return add_principal(self.file, name, account=ACCOUNT, kind=kind, tags={}, policy=None)

    def client(self, credential: dict[str, Any], secret: str | None = None) -> Any:
        """Return boto3's client with a credential, or with its key and a wrong secret."""
        return boto3.client(
            "kms",
            endpoint_url=self.server.endpoint,
            region_name="us-east-1",
            aws_access_key_id=credential["AccessKeyId"],
            aws_secret_access_key=secret or credential["SecretAccessKey"],
            aws_session_token=credential.get("SessionToken"),
            config=Config(retries={"total_max_attempts": 1}),
        )

    def _live(self, server: Server) -> None:
        alice, simulator = self.client(self.alice), Simulator(server.endpoint, account=ACCOUNT, token=TOKEN)
        cluster = simulator.create_cluster(kmsuser_password=PASSWORD)
        described = cluster.describe()
        members = {
            "CustomKeyStoreName": "canaries",
            "CloudHsmClusterId": described["CloudHsmClusterId"],
            "TrustAnchorCertificate": described["TrustAnchorCertificate"],
        }
        store = alice.create_custom_key_store(**members, KeyStorePassword=WRONG)["CustomKeyStoreId"]
        alice.connect_custom_key_store(CustomKeyStoreId=store)  # and the login is refused
        alice.disconnect_custom_key_store(CustomKeyStoreId=store)
        alice.update_custom_key_store(CustomKeyStoreId=store, KeyStorePassword=PASSWORD)
        alice.connect_custom_key_store(CustomKeyStoreId=store)
        self.drawn.append(alice.generate_random(NumberOfBytes=32, CustomKeyStoreId=store)["Plaintext"])
        key = alice.create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=store)["KeyMetadata"]["KeyId"]
        blob = alice.encrypt(KeyId=key, Plaintext=PLAINTEXT)["CiphertextBlob"]
        assert alice.decrypt(CiphertextBlob=blob)["Plaintext"] == PLAINTEXT
        self.drawn.append(alice.generate_data_key(KeyId=key, NumberOfBytes=32)["Plaintext"])
        external = external_members("canaries")
        external["XksProxyAuthenticationCredential"]["RawSecretAccessKey"] = XKS_SECRET
        alice.create_custom_key_store(CustomKeyStoreName="external", **external)
        self.drawn.append(self.client(self.lent).generate_random(NumberOfBytes=32)["Plaintext"])
        self._go_wrong(simulator, cluster.id, store)

    def _go_wrong(self, simulator: Simulator, cluster_id: str, store: str) -> None:
        """Force errors that the log tells of, with what they were about."""
        alice = self.client(self.alice)
        with pytest.raises(ClientError):
            self.client(self.alice, secret="wrong").generate_random(NumberOfBytes=1)
        with pytest.raises(ClientError):
            self.client({**self.lent, "SessionToken": "wrong"}).generate_random(NumberOfBytes=1)
        with pytest.raises(ClientError):
            alice.update_custom_key_store(CustomKeyStoreId=store, KeyStorePassword=PASSWORD * 9)
        with pytest.raises(ClientError):
            alice.encrypt(KeyId="alias/none", Plaintext=PLAINTEXT)
        with pytest.raises(ClientError):  # the upstream does not answer
            alice.sign(KeyId="alias/elsewhere", Message=PLAINTEXT, SigningAlgorithm="ECDSA_SHA_256")
        with pytest.raises(Refused):
            simulator.manage("POST", "clusters", KmsuserPassword=PASSWORD * 9)
        for path in ("/_hsmstore/clusters", f"/_hsmstore/{cluster_id}"):
            for token in (TOKEN, TOKEN + "x"):
                self.server.request("GET", path, None, {"Authorization": f"Bearer {token}"})
        simulator.faults.add("draw", "exception", "KMSInternalException", store=store, times=1)
        with pytest.raises(ClientError):
            self.client(self.alice).generate_random(NumberOfBytes=8, CustomKeyStoreId=store)

    @property
    def secrets(self) -> dict[str, bytes]:
        """Everything that must not be seen, by what it is."""
        texts = {
            "kmsuser's password": PASSWORD,
            "a wrong password": WRONG,
            "the proxy's secret": XKS_SECRET,
            "the token": TOKEN,
            "the upstream's password": UPSTREAM,
            "a secret key": self.alice["SecretAccessKey"],
            "a lent secret key": self.lent["SecretAccessKey"],
            "a session token": self.lent["SessionToken"],
        }
        found = {name: text.encode() for name, text in texts.items()} | {"a plaintext": PLAINTEXT}
        found |= {f"bytes drawn {number}": drawn for number, drawn in enumerate(self.drawn)}
        master = (self.data_dir / "master.key").read_bytes()
        return found | {"the master key": master}


def forms(secret: bytes) -> list[bytes]:
    """Return how a secret could be written."""
    return [secret, base64.b64encode(secret), secret.hex().encode(), repr(secret)[2:-1].encode()]


def seen_of(pid: int) -> str:
    """Return what other users' `ps` shows of a process and its children, and its environment."""
    shown = ""
    for each in (pid, *children(pid)):
        for name in ("cmdline", "environ"):
            shown += Path(f"/proc/{each}/{name}").read_bytes().replace(b"\0", b" ").decode() + "\n"
    return shown


def children(pid: int) -> Iterator[int]:
    """Yield a process's children, and theirs."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield int(child)
            yield from children(int(child))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Let a server meet the secrets."""
    return Planted(tmp_path_factory.mktemp("canaries"))


def test_no_file_holds_a_secret_that_need_not(planted: Planted) -> None:
    """Only the files that are named hold one; neither the trail nor the registry does."""
    for path in planted.data_dir.rglob("*"):
        if not path.is_file():
            continue
        content = path.read_bytes()
        for name, secret in planted.secrets.items():
            if HELD_BY.get(path.name) not in {name, secret.decode("latin-1")}:
                assert not any(form in content for form in forms(secret)), (path, name)


def test_the_log_tells_no_secret(planted: Planted) -> None:
    """Nor at debug, nor in the tracebacks of what went wrong."""
    log = planted.server.log
    assert "which does not answer" in log or "127.0.0.1:1" in log  # it has had something to tell
    for name, secret in planted.secrets.items():
        assert not any(form in log.encode() for form in forms(secret)), name


def test_no_process_shows_a_secret(planted: Planted) -> None:
    """What `ps` shows of the server, and its environment, hold none."""
    for name, secret in planted.secrets.items():
        assert not any(form in planted.processes.encode() for form in forms(secret)), name


def test_settings_are_shown_without_secrets(tmp_path: Path) -> None:
    """`serve --print-settings` masks the passwords in URLs, and names files where secrets lie in files."""
    command = [sys.executable, "-m", "hsmstore", "serve", "--print-settings", "--data-dir", str(tmp_path)]
    command += [
        "--upstream",
        f"http://u:{UPSTREAM}@127.0.0.1:1",
        "--database-url",
        f"postgresql://u:{PASSWORD}@h/d",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "127.0.0.1:1" in done.stdout
    assert UPSTREAM not in done.stdout + done.stderr
    assert PASSWORD not in done.stdout + done.stderr


def test_commands_tell_no_secret(tmp_path: Path) -> None:
    """A secret from a file is in no process's arguments, and a traceback that was asked for has none."""
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    command = [sys.executable, "-m", "hsmstore", "--endpoint", "http://127.0.0.1:1", "cluster", "create"]
    done = subprocess.run(
        [*command, "--kmsuser-password-file", str(secret)],
        env={"PATH": os.defpath, "HOME": str(tmp_path), "HSMSTORE_DEBUG": "1", "HSMSTORE_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 3
    assert "Traceback" in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert TOKEN not in done.stdout + done.stderr


def test_a_served_hsm_shows_no_secret(tmp_path: Path) -> None:
    """Neither `hsm serve` nor p11-kit's server, its child, shows a PIN or the password."""
    with served(tmp_path / "data") as hsm:
        assert hsm._process is not None  # noqa: SLF001 - the process is what is looked at
        shown = seen_of(hsm._process.pid)  # noqa: SLF001 - likewise
        assert shown
        assert hsm.officer_pin not in shown
        assert hsm.password not in shown


def test_an_unexpected_error_tells_no_secret(tmp_path: Path) -> None:
    """A registry that fails in the middle of a call leaves a traceback, without what was in the call."""
    with running(tmp_path / "data", "--profile", "instant", "--log-level", "debug") as server:
        cluster = server.new_cluster()
        server.kms().describe_custom_key_stores()
        (tmp_path / "data" / "registry.sqlite3").write_bytes(b"no database at all" * 1000)
        body = {
            "CustomKeyStoreName": "failing",
            "CloudHsmClusterId": cluster["CloudHsmClusterId"],
            "TrustAnchorCertificate": cluster["TrustAnchorCertificate"],
            "KeyStorePassword": PASSWORD,
        }
        answer = server.call("CreateCustomKeyStore", json.dumps(body).encode())
        assert answer.status >= 400
        assert PASSWORD.encode() not in answer.body
    assert PASSWORD not in server.log
