"""SIGHUP reads the settings again; clients that stop half-way hold up nobody."""

import os
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.load.looking import comes_true
from tests.server import Server, running
from tests.wire.raw import request


def hang_up(server: Server, told: str) -> None:
    """Send SIGHUP and wait until the log says what came of it."""
    os.kill(server.pid, signal.SIGHUP)
    assert comes_true(lambda: told in server.log), server.log


def test_settings_are_read_again(tmp_path: Path) -> None:
    """Quota, profile and log level change at SIGHUP; a file that is no good changes nothing and is told."""
    config = tmp_path / "hsmstore.toml"
    config.write_text('key_store_quota = 1\nprofile = "aws"\n')
    with running(tmp_path / "data", "--config", str(config)) as server:
        server.new_external_store("one")
        with pytest.raises(ClientError, match="LimitExceededException"):
            server.new_external_store("two")
        config.write_text('key_store_quota = 2\nprofile = "instant"\nthreads = 3\nport = 1\n')
        hang_up(server, "the settings were read again")
        server.new_external_store("two")
        assert server.manage("GET", "/health")[1]["profile"] == "instant"
        assert "region takes effect" not in server.log
        config.write_text("key_store_quota = 0\n")
        hang_up(server, "the settings stay as they are: key_store_quota in ")
        assert server.manage("GET", "/health")[1]["profile"] == "instant"


def test_what_needs_a_start_is_said(tmp_path: Path) -> None:
    """A setting that cannot change while the server runs is named in the log."""
    config = tmp_path / "hsmstore.toml"
    config.write_text("")
    with running(tmp_path / "data", "--config", str(config)) as server:
        config.write_text('region = "eu-central-1"\n')
        hang_up(server, "region takes effect at the next start")
        assert server.manage("GET", "/health")[1]["region"] == "us-east-1"


def test_half_sent_requests_hold_up_nobody(server: Server) -> None:
    """However many clients leave their body unsent, the others are served."""
    body = b'{"NumberOfBytes":1}'
    with ExitStack() as stack:
        for _ in range(200):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            client.sendall(request(body)[:-5])
        for _ in range(20):
            assert server.call("GenerateRandom", body).status == 200
            assert server.manage("GET", "/clusters")[0] == 200
