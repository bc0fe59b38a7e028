"""A simulator in this process, in the shape in which the tests of the wire know a server."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.config import Config

from hsmstore.testing import Simulation
from hsmstore.wire.http import Request
from tests.server import Answer, Server


class InProcess(Server):
    """Everything that a Server does, but for being a process."""

    def __init__(self, simulation: Simulation, log: Path) -> None:
        super().__init__(simulation.directory)
        self._simulation = simulation
        self._log = log
        logging.getLogger("hsmstore").addHandler(logging.FileHandler(log))

    @property
    def log(self) -> str:
        """Everything that has been logged."""
        return self._log.read_text()

    def kms(self, region: str = "us-east-1", account: str = "000000000000") -> Any:
        """Return a boto3 client that sends what it is told to and never retries."""
        as_over_http = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
        return self._simulation.client(region_name=region, aws_access_key_id=account, config=as_over_http)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Serve one request as it stands."""
        lines = {name.lower().encode(): value.encode() for name, value in (headers or {}).items()}
        lines |= {b"host": b"localhost"}
        request = Request(method.encode(), path.encode(), lines, body or b"", source="127.0.0.1")
        answer = self._simulation.answer(request)
        assert answer is not None
        pairs = (line.split(": ", 1) for line in answer.headers.decode().splitlines())
        return Answer(answer.status, dict(pairs), answer.body)
