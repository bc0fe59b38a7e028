"""A key for the clients, and the environment in which they find it."""

from pathlib import Path

import pytest

from tests.server import Server
from tests.wire.keys import Keys, fresh

ACCOUNT = "888800001111"


@pytest.fixture
def keys(server: Server) -> Keys:
    """Give a connected key store of the test's own."""
    return Keys.on(server, fresh("clients"), account=ACCOUNT)


@pytest.fixture
def environment(server: Server, tmp_path: Path) -> dict[str, str]:
    """Give the variables that point a client of AWS at the server, and at nothing of the user's own."""
    return {
        "AWS_ENDPOINT_URL_KMS": server.endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
