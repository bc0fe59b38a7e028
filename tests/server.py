"""A real server over real SoftHSM2 tokens, started and stopped as a user would."""

import http.client
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from botocore.config import Config

from tests.registries import REGISTRIES

PASSWORD = "kmsuser1password"

_NO_RETRIES = Config(
    retries={"total_max_attempts": 1}, connect_timeout=30, read_timeout=60, parameter_validation=False
)


class Answer(NamedTuple):
    """A response as it came over the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Server:
    """`hsmstore serve` on a data directory. Can be stopped, killed and started again."""

    program: Sequence[str] = (sys.executable, "-m", "hsmstore")
    """What is typed for `hsmstore`."""

    def __init__(self, data_dir: Path, *options: str) -> None:
        self.data_dir = data_dir
        self.port = _free_port()
        self.options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def registry_url(self) -> str:
        """The URL of its registry."""
        return REGISTRIES.url(self.data_dir)

    @property
    def endpoint(self) -> str:
        """The URL to give to a client."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The id of the process that serves."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything that the server has written."""
        return self._log_file.read_text()

    @property
    def _log_file(self) -> Path:
        return self.data_dir.with_suffix(".log")

    def start(self, *options: str) -> None:
        """Start it and wait until it serves."""
        self.spawn(*options)
        while not self._serves():
            assert self.ended is None, self.log
            threading.Event().wait(0.005)

    def spawn(self, *options: str) -> None:
        """Start it and do not wait."""
        # Four threads: room for calls that hang beside those that are looked at.
        command = [*self.program, "serve", "--no-demo", "--threads", "4"]
        command += ["--data-dir", str(self.data_dir), "--port", str(self.port)]
        command += [*REGISTRIES.options(self.data_dir), *self.options, *options]
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    @property
    def ended(self) -> int | None:
        """Its exit code, or minus the signal that ended it; None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def wait(self) -> int:
        """Wait until it has ended by itself; return `ended`."""
        assert self._process is not None
        return self._process.wait(timeout=60)

    def stop(self) -> int:
        """End it with SIGTERM; return its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(timeout=60)

    def kill(self) -> None:
        """End it with SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=60)

    def _serves(self) -> bool:
        try:
            return self.manage("GET", "/health")[0] == 200
        except OSError:
            return False

    def kms(self, region: str = "us-east-1", account: str = "000000000000") -> Any:
        """Return a boto3 client that sends what it is told to and never retries."""
        return boto3.client(
            "kms",
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id=account,
            aws_secret_access_key="secret",
            config=_NO_RETRIES,
        )

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request as it stands."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def call(self, operation: str, body: bytes | Mapping[str, Any]) -> Answer:
        """Send an awsJson1.1 request whose body is `body`, or its JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        target = {"X-Amz-Target": f"TrentService.{operation}", "Content-Type": "application/x-amz-json-1.1"}
        return self.request("POST", "/", raw, target)

    def manage(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Call the management API; return status and the JSON."""
        raw = None if body is None else json.dumps(body).encode()
        answer = self.request(method, f"/_hsmstore{path}", raw, {"Content-Type": "application/json"})
        return answer.status, json.loads(answer.body)

    def new_cluster(self, **members: Any) -> Any:
        """Create a cluster whose kmsuser has the password PASSWORD."""
        status, cluster = self.manage("POST", "/clusters", {"KmsuserPassword": PASSWORD, **members})
        assert status == 200, cluster
        return cluster

    def new_store(self, name: str, cluster: Any = None, *, account: str = "000000000000") -> str:
        """Create a CloudHSM key store on `cluster`, or on a new one; return its id."""
        cluster = cluster or self.new_cluster(AccountId=account)
        answer = self.kms(account=account).create_custom_key_store(
            CustomKeyStoreName=name,
            CloudHsmClusterId=cluster["CloudHsmClusterId"],
            TrustAnchorCertificate=cluster["TrustAnchorCertificate"],
            KeyStorePassword=PASSWORD,
        )
        key_store_id: str = answer["CustomKeyStoreId"]
        return key_store_id

    def new_external_store(self, name: str) -> str:
        """Create an external key store; return its id."""
        answer = self.kms().create_custom_key_store(CustomKeyStoreName=name, **external_members(name))
        key_store_id: str = answer["CustomKeyStoreId"]
        return key_store_id


def external_members(name: str) -> dict[str, Any]:
    """Return the members of an external key store whose proxy nobody else has."""
    return {
        "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
        "XksProxyConnectivity": "PUBLIC_ENDPOINT",
        "XksProxyUriEndpoint": "https://xks.example.com",
        "XksProxyUriPath": f"/{name}/kms/xks/v1",
        "XksProxyAuthenticationCredential": {
            "AccessKeyId": "ABCDEFGHIJKLMNOPQRST",
            "RawSecretAccessKey": "A" * 43,
        },
    }


@contextmanager
def running(data_dir: Path, *options: str) -> Iterator[Server]:
    """Start a server for as long as the context lasts."""
    server = Server(data_dir, *options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
